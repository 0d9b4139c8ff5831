-- include: mail
-- What every PRP script stands on: the clock, what is overdue, and the state of one PRP as PRPS names it.
-- KEYS, the same in all of them: 1 cursor 2 recorded 3 pending 4 claims 5 completing 6 maxrev 7 fence 8 events
--   9 agents 10 verdicts 11 unproven 12 landings 13 landed 14 meta
-- A line (an element of a chain): {seal, number, on, status, evidence, fields, agent, branch, verb, at}; `on` is the
-- seal it stands on ("" for none). `fields` is a JSON text: cjson would turn empty lists in it into empty objects.
local cursor, recorded, pending, claims, completing, maxrev = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local fences, events, agents, verdicts = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local unproven, landings, landed, meta = KEYS[11], KEYS[12], KEYS[13], KEYS[14]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(key, id)
  local raw = redis.call('HGET', key, id)
  return raw and cjson.decode(raw) or nil
end

local function put(key, id, value)
  redis.call('HSET', key, id, cjson.encode(value))
end

local function put_chain(id, chain)
  if #chain == 0 then redis.call('HDEL', pending, id) else put(pending, id, chain) end
end

local function event(name, id, agent, fence, detail)
  redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'event', name, 'prp', id, 'agent', agent or '',
    'fence', tostring(fence or ''), 'detail', detail or '')
end

-- What an agent has to know is in its mailbox, once for each cause. A full one is passed over, and the stream says so.
local function tell(agent, cause, key, id, detail)
  if not agent or agent == '' then return end
  local one = { id = cause .. ':' .. id .. ':' .. key, from = 'prpgate', to = agent, text = '', cause = cause, prp = id,
    detail = detail, priority = 'high', due = { agent } }
  if deliver(one) == 'full' then event('untold', id, agent, '', cause) end
end

-- The letter of PRPS's table ("?" for a status of nobody's), the effective line, the chain, and whether it stands.
local LETTERS = { new = 'N', validated = 'V', in_progress = 'I', deprecated = 'X' }
local function state(id)
  local rec, chain = get(recorded, id), get(pending, id) or {}
  local stands = #chain > 0 and chain[1].on == (rec and rec.seal or '')
  local top = rec
  if stands then top = chain[#chain] end
  local letter
  if not top then letter = '-'
  elseif top.status ~= 'complete' then letter = LETTERS[top.status] or '?'
  elseif top.evidence or top.number == 0 then letter = 'D'
  elseif stands then letter = 'C'
  else letter = redis.call('HEXISTS', unproven, id) == 1 and 'L' or 'D' end
  return letter, top, chain, stands
end

-- The marker ends, and with it the pending line that it stands for.
local function end_completing(id)
  local marker = get(completing, id)
  if not marker then return end
  redis.call('HDEL', completing, id)
  local chain = get(pending, id) or {}
  if #chain > 0 and chain[#chain].seal == marker.seal then
    table.remove(chain)
    put_chain(id, chain)
  end
end

local function reap()
  local all = redis.call('HGETALL', claims)
  for i = 1, #all, 2 do
    local claim = cjson.decode(all[i + 1])
    if claim.deadline <= now then
      local letter = state(all[i])
      redis.call('HDEL', claims, all[i])
      end_completing(all[i])
      if letter == 'I' or letter == 'C' or letter == 'L' then
        event('lapsed', all[i], claim.agent, claim.fence, 'the claim was not renewed')
        tell(claim.agent, 'lapsed', string.format('%.0f', claim.fence), all[i], '')
      end
    end
  end
  all = redis.call('HGETALL', completing)
  for i = 1, #all, 2 do
    local marker = cjson.decode(all[i + 1])
    if marker.deadline <= now then
      end_completing(all[i])
      event('completing-lapsed', all[i], marker.agent, '', marker.seal .. ' did not land in time')
    end
  end
end

-- What the caller does not say of itself stays as it was.
local function seen(me)
  local known = get(agents, me.agent) or {}
  known.since = known.since or known.at or now
  known.host, known.at = me.host, now
  for _, name in ipairs({ 'git_dir', 'worktree', 'kind' }) do
    if me[name] and me[name] ~= '' then known[name] = me[name] end
  end
  put(agents, me.agent, known)
end

-- Same agent in the same worktree. Its fence must be the claim's too, unless its marker file was lost.
local function same_place(claim, me)
  return claim and claim.agent == me.agent and claim.host == me.host and claim.git_dir == me.git_dir
end

local function owns(claim, me)
  if not claim or claim.agent ~= me.agent then return false end
  if me.fence ~= '' then return tostring(claim.fence) == me.fence end
  return same_place(claim, me)
end

local function not_own(claim, me)
  if not claim then return 'not-claimed' end
  return claim.agent == me.agent and 'stale-fence' or 'claimed'
end

local function grant(id, me)
  local fence = math.max(tonumber(redis.call('GET', fences) or '0') + 1, now) -- it grows across a wiped store too
  redis.call('SET', fences, string.format('%.0f', fence))
  local claim = { agent = me.agent, fence = fence, since = now, deadline = now + me.lease, host = me.host,
    git_dir = me.git_dir, branch = me.branch }
  put(claims, id, claim)
  return claim
end

-- Whether the new line stands on what is effective now and carries the next number. If not, the caller looks again.
local function fits(id, line, top)
  return line.on == (top and top.seal or '') and line.number == tonumber(redis.call('HGET', maxrev, id) or '0') + 1
end

-- A chain that does not stand is replaced.
local function issue(id, line, chain, stands)
  if not stands then chain = {} end
  line.at = now
  chain[#chain + 1] = line
  put_chain(id, chain)
  redis.call('HSET', maxrev, id, line.number)
end

local function answer(ok, code, more)
  local out = more or {}
  out.ok, out.code, out.now = ok, code, now
  return cjson.encode(out)
end

-- A refusal says in which state the PRP is, and who has it.
local function refuse(code, letter, claim)
  return answer(false, code, { state = letter, claim = claim })
end
