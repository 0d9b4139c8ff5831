-- include: mail
-- What every PRP script stands on: the clock, what is overdue, and the state of one PRP as PRPS names it.
-- KEYS, the same in all of them: 1 cursor 2 recorded 3 pending 4 claims 5 completing 6 maxrev 7 fence 8 events
--   9 agents 10 verdicts 11 unproven 12 landings 13 landed 14 meta 15 open 16 briefs 17 about 18 names 19 marks 20 notes
-- A line (an element of a chain): {seal, number, on, status, evidence, fields, agent, branch, verb, at}; `on` is the
-- seal it stands on ("" for none). `fields` is a JSON text: cjson would turn empty lists in it into empty objects.
local cursor, recorded, pending, claims, completing, maxrev = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local fences, events, agents, verdicts = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local unproven, landings, landed, meta = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local open, briefs, abouts, names, marks, notes = KEYS[15], KEYS[16], KEYS[17], KEYS[18], KEYS[19], KEYS[20]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(key, id)
  local raw = redis.call('HGET', key, id)
  return raw and cjson.decode(raw) or nil
end

local function put(key, id, value)
  redis.call('HSET', key, id, cjson.encode(value))
end

local touched = {} -- ids whose place in the index may have changed; `answer` sees to them

local function put_chain(id, chain)
  if #chain == 0 then redis.call('HDEL', pending, id) else put(pending, id, chain) end
  touched[id] = true
end

local function wait(id, one) -- a complete line that waits for a green landing; nil: it waits no more
  if one then put(unproven, id, one) else redis.call('HDEL', unproven, id) end
  touched[id] = true
end

-- What somebody said of a PRP: blocked, assigned, phase, last (its last claim). nil takes it away.
local function mark(id, kind, value)
  local all = get(marks, id) or {}
  all[kind] = value
  if next(all) == nil then redis.call('HDEL', marks, id) else put(marks, id, all) end
end

local function event(name, id, agent, fence, detail)
  redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'event', name, 'prp', id, 'agent', agent or '',
    'fence', tostring(fence or ''), 'detail', detail or '')
end

-- What an agent has to know is in its mailbox, once for each cause. A full one is passed over, and the stream says so.
local function tell(agent, cause, key, id, detail, text)
  if not agent or agent == '' then return end
  local one = { id = cause .. ':' .. id .. ':' .. key, from = 'prpgate', to = agent, text = text or '', cause = cause, prp = id,
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

-- A claim whose lease is over is suspect: still its owner's for a while, and nobody else's. Then it ends.
local function reap()
  local all = redis.call('HGETALL', claims)
  for i = 1, #all, 2 do
    local id, claim = all[i], cjson.decode(all[i + 1])
    if (claim.over or claim.deadline) <= now then
      local letter = state(id)
      redis.call('HDEL', claims, id)
      end_completing(id)
      if not claim.reserved and (letter == 'I' or letter == 'C' or letter == 'L') then
        event('lapsed', id, claim.agent, claim.fence, 'the claim was not renewed')
        mark(id, 'last', { agent = claim.agent, branch = claim.branch, fence = claim.fence, at = now, how = 'lapsed' })
        tell(claim.agent, 'lapsed', string.format('%.0f', claim.fence), id, '')
      end
    elseif claim.deadline <= now and not claim.suspect then
      claim.suspect = true
      put(claims, id, claim)
      event('suspect', id, claim.agent, claim.fence, 'the lease is over')
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

-- The claim that counts. Work is under way in I, C and L; one that is left in another state (the lane went back behind
-- the start) is in nobody's way.
local function claim_of(id, letter)
  local claim = get(claims, id)
  if claim and (claim.reserved or letter == 'I' or letter == 'C' or letter == 'L') then return claim end
  return nil
end

local function owns(claim, me)
  if not claim or claim.reserved or claim.agent ~= me.agent then return false end
  if me.fence ~= '' then return tostring(claim.fence) == me.fence end
  return same_place(claim, me)
end

local function not_own(claim, me)
  if not claim then return 'not-claimed' end
  return claim.agent == me.agent and 'stale-fence' or 'claimed'
end

-- A lease from now on: the claim is current again, if it was suspect.
local function extend(id, claim, me)
  claim.deadline, claim.suspect = now + me.lease, nil
  claim.over = claim.deadline + (me.suspect or 0)
  put(claims, id, claim)
end

local function grant(id, me)
  local fence = math.max(tonumber(redis.call('GET', fences) or '0') + 1, now) -- it grows across a wiped store too
  redis.call('SET', fences, string.format('%.0f', fence))
  local brief = get(briefs, id) or get(abouts, id) or {} -- what is complete has no brief until it is taken up again
  local claim = { agent = me.agent, fence = fence, since = now, host = me.host, git_dir = me.git_dir,
    branch = me.branch, exclusive = brief.exclusive, shared = brief.shared }
  extend(id, claim, me)
  return claim
end

-- Whether the new line stands on what is effective now and carries a number that was never given out: the next one, or a
-- higher one where the line here was lost with a wiped store. If not, the caller looks again.
local function fits(id, line, top)
  return line.on == (top and top.seal or '') and line.number > tonumber(redis.call('HGET', maxrev, id) or '0')
end

-- A chain that does not stand is replaced; the answer has it (JSON), for who finds that the line cannot be written.
local replaced
local function issue(id, line, chain, stands)
  if not stands then
    replaced = #chain > 0 and cjson.encode(chain) or nil
    chain = {}
  end
  line.at = now
  chain[#chain + 1] = line
  put_chain(id, chain)
  redis.call('HSET', maxrev, id, line.number)
end

-- The index: what `prp_next` reads, so that what is complete costs it nothing. `open` has every PRP that is neither
-- complete nor deprecated, in the order in which they are to be had; `briefs` what there is to know of each; `about`
-- what the recorded entry says of itself {letter, seal, priority, depends_on, ids, exclusive, shared} (written with it;
-- letter W: complete without evidence); `names` which PRPs a further id is claimed by.
local RANKS = { V = '1', I = '2', N = '3', C = '4', L = '5', ['?'] = '6' }

-- What many PRPs bring is written many at a time (`flush`), and what is known to be empty is not asked for each: a
-- store that is filled with ten thousand serves nobody else meanwhile.
local fresh, described, writes = {}, {}, {}
local function write_many(key, field, value)
  local list = writes[key] or {}
  writes[key] = list
  list[#list + 1] = field
  list[#list + 1] = value
  if #list >= 2000 then
    redis.call('HSET', key, unpack(list))
    writes[key] = nil
  end
end

local function flush()
  for key, list in pairs(writes) do redis.call('HSET', key, unpack(list)) end
  writes = {}
end

local function many()
  for _, key in ipairs({ pending, briefs, abouts, marks, unproven, maxrev, landed }) do
    fresh[key] = redis.call('HLEN', key) == 0
  end
end

-- One that is done and has no further id is in no other key of an index that is new: it need not be read.
local function only_done(text)
  return fresh[abouts] and fresh[briefs] and fresh[pending] and fresh[marks]
    and string.find(text, '^{"letter":"[DX]"') and string.find(text, '"ids":%["[^"\\]*"%]')
end

local function about_recorded(id, text)
  if only_done(text) then return write_many(abouts, id, text) end
  local old = not fresh[abouts] and get(abouts, id)
  for n, name in ipairs(old and old.ids or {}) do
    local rest = {}
    for _, one in ipairs(n > 1 and get(names, name) or {}) do if one ~= id then rest[#rest + 1] = one end end
    if #rest > 0 then put(names, name, rest) elseif n > 1 then redis.call('HDEL', names, name) end
  end
  touched[id] = true
  if text == '' then redis.call('HDEL', abouts, id) return end
  write_many(abouts, id, text)
  described[id] = cjson.decode(text)
  for n, name in ipairs(described[id].ids) do
    if n > 1 then
      local claimants = get(names, name) or {}
      claimants[#claimants + 1] = id
      put(names, name, claimants)
    end
  end
end

local function brief_of(id)
  local about, letter, top = described[id] or get(abouts, id), nil, nil
  if about and (fresh[pending] or redis.call('HEXISTS', pending, id) == 0) then
    letter = about.letter
    if letter == 'W' then letter = redis.call('HEXISTS', unproven, id) == 1 and 'L' or 'D' end
  else
    letter, top = state(id)
  end
  if not RANKS[letter] then return nil end
  local brief = about or { priority = string.match(id, '^[^-]*') }
  brief.ids, brief.letter, brief.seal = nil, letter, top and top.seal or brief.seal
  brief.place = RANKS[letter] .. brief.priority .. '\0' .. id
  return brief
end

local function index(id)
  local was, brief = not fresh[briefs] and get(briefs, id), brief_of(id)
  if was and (not brief or was.place ~= brief.place) then redis.call('ZREM', open, was.place) end
  if not brief then
    if was then redis.call('HDEL', briefs, id) end
    if not fresh[marks] then redis.call('HDEL', marks, id) end -- nobody waits for it, and nobody works on it, any more
    return
  end
  put(briefs, id, brief)
  redis.call('ZADD', open, 0, brief.place)
end

-- Whose id this is: an own id first, else the one PRP that has it as a further id.
local function resolve(name)
  if redis.call('HEXISTS', abouts, name) == 1 or redis.call('HEXISTS', briefs, name) == 1 then return name end
  local claimants = get(names, name)
  return claimants and #claimants == 1 and claimants[1] or nil
end

local function is_done(name)
  local id = resolve(name)
  return id ~= nil and redis.call('HEXISTS', briefs, id) == 0
end

local function answer(ok, code, more)
  flush()
  if fresh[pending] then fresh[pending] = redis.call('HLEN', pending) == 0 end
  for id in pairs(touched) do index(id) end
  local out = more or {}
  out.ok, out.code, out.now, out.replaced = ok, code, now, replaced
  return cjson.encode(out)
end

-- A refusal says in which state the PRP is, and who has it.
local function refuse(code, letter, claim, more)
  local out = more or {}
  out.state, out.claim = letter, claim
  return answer(false, code, out)
end

-- A word for whoever works on the PRP next. The same word of the same agent again is one.
local NOTES = 20
local function add_note(id, agent, said)
  local all = get(notes, id) or {}
  local last = all[#all]
  if last and last.agent == agent and last.text == said then return false end
  all[#all + 1] = { agent = agent, text = said, at = now }
  if #all > NOTES then table.remove(all, 1) end
  put(notes, id, all)
  return true
end
