-- The merge lane: what every lane_*.lua script shares. docs/lane.md has the tables.
-- Before a script does its own work it reads the server's clock and reaps what is overdue; when it leaves the lane
-- free it settles. All lane scripts take the same keys and one argument, and answer one JSON text.
-- KEYS: 1 s  2 q  3 a  4 r  5 u  6 i  7 kept  8 rec  9 log  10 v  11 prefix of the wake lists  12 lanes
-- ARGV: 1 JSON of named arguments: lane (its name), times (ms), and what the verb needs
-- Wake lists are the only keys that are not declared; they share the hash tag of the declared ones.
local A = cjson.decode(ARGV[1])
local T = A.times
local TIME = redis.call('TIME')
local MICROS = TIME[1] * 1000000 + TIME[2]
local NOW = math.floor(MICROS / 1000)
local QS, QA, QR, QU, QI = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local KEPT, REC, LOG, VERDICTS, WAKE = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local LOG_LENGTH, RECORDS, DURATIONS = 10000, 5000, 50
local IN_BRANCH = { foreign = 1, late = 2, landed = 3 } -- facts about the remote: only a greater one replaces them

-- What is stored -----------------------------------------------------------------------------------------------------
local S, Q = {}, {} -- the hash s; the tickets in order: {id, alive, reserved, used}
local CHANGED = {} -- fields of s that `answer` has to write: two commands, where one a field made a hand-over twice as slow

local function text(value) -- numbers in full: fences are greater than what "%.14g" can carry
  return type(value) == 'number' and string.format('%.0f', value) or value
end

local function put(field, value) -- nil: the field goes
  value = text(value)
  if S[field] == value then return end
  if next(S) == nil then redis.call('SADD', KEYS[12], A.lane) end
  S[field] = value
  CHANGED[field] = true
end

local function write()
  local new, gone = {}, {}
  for field in pairs(CHANGED) do
    local value = S[field]
    if value == nil then
      gone[#gone + 1] = field
    else
      new[#new + 1] = field
      new[#new + 1] = value
    end
  end
  if #new > 0 then redis.call('HSET', KEYS[1], unpack(new)) end
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
end

local function num(field) return tonumber(S[field] or '0') end

local function json(key, field) -- {} where nothing is stored
  local raw = redis.call('HGET', key, field)
  return raw and cjson.decode(raw) or {}
end

local function has(list, wanted)
  for _, one in ipairs(list or {}) do
    if one == wanted then return true end
  end
  return false
end

local function log(event, more) -- more: fence, agent, sha, detail
  more = more or {}
  redis.call('XADD', LOG, 'MAXLEN', '~', LOG_LENGTH, '*', 'lane', A.lane, 'event', event,
    'fence', text(more.fence) or S.fence or '0', 'agent', more.agent or '', 'sha', more.sha or '',
    'detail', more.detail or '')
end

local function scores(key)
  local flat, found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}
  for n = 1, #flat, 2 do found[flat[n]] = tonumber(flat[n + 1]) end
  return found
end

local function hash(key)
  local flat, found = redis.call('HGETALL', key), {}
  for n = 1, #flat, 2 do found[flat[n]] = flat[n + 1] end
  return found
end

local function load()
  S = hash(KEYS[1])
  local ids = redis.call('ZRANGE', QS, 0, -1)
  if #ids == 0 then return end
  local alive, reserved, used = scores(QA), scores(QR), {}
  for _, id in ipairs(redis.call('SMEMBERS', QU)) do used[id] = true end
  for n, id in ipairs(ids) do
    Q[n] = { id = id, alive = alive[id] or 0, reserved = reserved[id] or 0, used = used[id] or false }
  end
end
load()

local function state() return S.state or 'free' end

local function holder() return S.who and cjson.decode(S.who) or {} end -- who holds, or is offered, the lane

local function owner() return S.owner and cjson.decode(S.owner) or {} end -- whose landing it is

-- Tickets ------------------------------------------------------------------------------------------------------------
local function there(t) return t.alive > NOW end

local function find(id)
  for n, t in ipairs(Q) do
    if t.id == id then return t, n end
  end
end

local function forget(id) -- the ticket goes, with everything that hangs on it
  local t, n = find(id)
  if not t then return end
  table.remove(Q, n)
  redis.call('ZREM', QS, id)
  if t.alive > 0 then redis.call('ZREM', QA, id) end
  if t.reserved > 0 then redis.call('ZREM', QR, id) end
  if t.used then redis.call('SREM', QU, id) end
  redis.call('HDEL', QI, id)
  redis.call('DEL', WAKE .. id)
end

local function beat(t, ms) -- there for so long; 0: absent from now on
  t.alive = ms > 0 and NOW + ms or 0
  if ms > 0 then redis.call('ZADD', QA, t.alive, t.id) else redis.call('ZREM', QA, t.id) end
end

local function reserve(t, ms) -- the place is kept for so long, never shorter than was said before
  t.reserved = math.max(t.reserved, NOW + ms)
  redis.call('ZADD', QR, t.reserved, t.id)
end

local function use_window(t)
  t.used = true
  redis.call('SADD', QU, t.id)
end

local function eligible(t) -- while the lane is closed, fixers only; everybody else is passed over
  return S.closed == nil or json(QI, t.id).fixer == true
end

local function wake(id, word) -- one word at most waits in a list: whoever reads it looks for himself
  if redis.call('LPUSH', WAKE .. id, word) > 1 then redis.call('LTRIM', WAKE .. id, 0, 0) end
  redis.call('PEXPIRE', WAKE .. id, T.alive_ms)
end

-- Holds --------------------------------------------------------------------------------------------------------------
local function new_fence() -- greater than any before, also after a wipe or a failover to a store that lags
  put('fence', math.max(num('fence') + 1, MICROS))
end

-- Who comes next: the first eligible ticket that is there, the one after it, and the first absent ticket with an
-- unused window that stands before them. A hotfix waits for nobody who is not there.
local function line()
  local first, second, window = nil, nil, nil
  for _, t in ipairs(Q) do
    if eligible(t) then
      if there(t) then
        if first then second = t break end
        first = t
      elseif not first and not t.used then
        window = window or t
      end
    end
  end
  if T.window_ms <= 0 or first and json(QI, first.id).hotfix then window = nil end
  return first, second, window
end

local function settle(event)
  if state() ~= 'free' or S.window then return end
  local first, second, window = line()
  if window then
    put('window', NOW + T.window_ms)
    log('window', { agent = json(QI, window.id).agent })
    for _, t in ipairs(Q) do
      if not there(t) then use_window(t) end
    end
  elseif first then
    new_fence()
    put('state', 'offered')
    put('holder', first.id)
    put('ticket', first.id)
    put('who', redis.call('HGET', QI, first.id))
    put('since', NOW)
    put('deadline', NOW + T.offer_ms)
    log(event or 'offer', { agent = holder().agent })
    wake(first.id, 'offer')
    if second then wake(second.id, text(T.offer_ms)) end
  end
end

local OF_A_HOLD = { 'phase', 'holder', 'ticket', 'who', 'since', 'begun', 'deadline', 'cap', 'head', 'base', 'info',
  'owner', 'key', 'look', 'looker', 'look_until', 'run_url', 'tried', 'dispatched', 'candidate', 'ci_until', 'proof',
  'proof_reason' }

local function clear() -- whatever holds the lane, or is offered it, ends
  if S.begun then
    -- The clock may have been set meanwhile: nobody shall be told to wait for an hour, nor keep a place for many.
    local last = math.max(0, math.min(NOW - num('begun'), T.cap_ms + T.ci_cap_ms))
    local all = text(last) .. (S.durations and ' ' .. S.durations or '')
    local _, before = string.gsub(all, ' ', ' ')
    put('durations', before < DURATIONS and all or all:match('^(.*) '))
  end
  for _, field in ipairs(OF_A_HOLD) do put(field, nil) end
  put('state', 'free')
end

local function free(event) -- ... and the next in line gets it
  clear()
  settle(event)
end

local function hold(who, phase, lease_ms, cap_ms) -- fence and ticket are the caller's business
  put('state', 'held')
  put('phase', phase)
  put('holder', who.hold)
  put('ticket', who.ticket)
  put('who', cjson.encode(who))
  put('since', NOW)
  put('begun', NOW)
  put('deadline', NOW + lease_ms)
  put('cap', NOW + cap_ms)
end

local function extend(lease_ms) -- the earlier of now + lease and the cap, never shorter than it was
  put('deadline', math.max(num('deadline'), math.min(NOW + lease_ms, num('cap'))))
end

local function current() return S.fence ~= nil and A.fence == S.fence end

local function open_intent() -- a push whose outcome nobody has told yet, and nobody is looking
  local st, ph = state(), S.phase
  return (st == 'held' or st == 'reconciling' and not S.look) and (ph == 'intent' or ph == 'accepting')
end

-- Records ------------------------------------------------------------------------------------------------------------
local function prune() -- the oldest go, by the hundred; a push that may still land keeps its record
  if redis.call('HLEN', REC) <= RECORDS + RECORDS / 10 then return end
  local all = {}
  for head, raw in pairs(hash(REC)) do all[#all + 1] = { head = head, at = cjson.decode(raw).at or 0 } end
  table.sort(all, function(x, y) return x.at < y.at end)
  for n = 1, #all - RECORDS do
    local head = all[n].head
    if head ~= S.head and redis.call('HEXISTS', KEPT, head) == 0 then redis.call('HDEL', REC, head) end
  end
end

-- Write what became of a head. What the remote was seen to have is never taken back. False when nothing changed.
local function record(head, what, more)
  local old = json(REC, head)
  if (IN_BRANCH[old.record] or 0) > (IN_BRANCH[what] or 0) or old.record == what and not more then return false end
  local changed = old.record ~= what
  local new = what == 'intent' and {} or old
  for field, value in pairs(more or {}) do new[field] = value end
  new.record = what
  if changed or not new.at then new.at = NOW end
  redis.call('HSET', REC, head, cjson.encode(new))
  prune()
  return changed
end

local function mark(head, fields) -- more about a head that has a record
  local old = json(REC, head)
  if not old.record then return end
  for field, value in pairs(fields) do old[field] = value end
  redis.call('HSET', REC, head, cjson.encode(old))
end

local function write_intent(intent, info)
  local mine = holder()
  if S.head and S.head ~= intent.head then -- another try with another commit: the first push may still arrive
    if record(S.head, 'unseen') then redis.call('HSET', KEPT, S.head, redis.call('HGET', REC, S.head)) end
  end
  redis.call('HDEL', KEPT, intent.head) -- announced anew
  put('phase', 'intent')
  put('head', intent.head)
  put('base', intent.base)
  put('owner', S.who)
  put('info', info and cjson.encode(info) or nil)
  if not S.seen and not intent.base:match('^0*$') then put('seen', intent.base) end -- where attribution starts
  put('key', info and info.tree and info.steps and info.tree .. ':' .. info.steps .. ':ci' or nil)
  local fields = { agent = mine.agent, hold = mine.hold, ticket = mine.ticket, prp = mine.prp, base = intent.base,
    fence = S.fence, fixer = A.fixer or nil, hotfix = mine.hotfix }
  for field, value in pairs(info or {}) do fields[field] = value end
  if record(intent.head, 'intent', fields) then
    log('intent', { agent = mine.agent, sha = intent.head })
    if S.closed and mine.hotfix then
      log('hotfix', { agent = mine.agent, sha = intent.head,
        detail = 'while closed by ' .. S.closed_by .. ': ' .. mine.hotfix })
    end
  end
end

local function keep(head) -- tip == base: not seen yet, may still arrive, for as long as the tip is its base
  if record(head, 'unseen') then log('unseen', { agent = owner().agent, sha = head }) end
  local now = json(REC, head)
  if now.record == 'unseen' then redis.call('HSET', KEPT, head, cjson.encode(now)) end
end

local function is_in(head) -- the remote has this head, which is the lane's intent or a kept one
  local kept = redis.call('HGET', KEPT, head)
  if head == S.head and S.base then -- without a base it is a foreign or late commit that CI looks at
    if record(head, 'landed') then log('landed', { agent = owner().agent, sha = head }) end
  elseif kept then
    kept = cjson.decode(kept)
    if record(head, 'late') then log('late', { fence = kept.fence, agent = kept.agent, sha = head }) end
  end
  if kept then redis.call('HDEL', KEPT, head) end
end

-- The base of a head that we know whose it is, or nil: what lies between the two came along with it.
local function known_base(head)
  if head == S.head and S.base then return S.base end
  local one = json(KEPT, head)
  if not one.record then one = json(REC, head) end
  local known = one.record == 'unseen' or one.record == 'landed' or one.record == 'late'
  return known and (one.base or '') or nil
end

-- A pull request lands as a commit that the host makes. Once a look has found it, that commit is the landing: what was
-- announced under the request's head goes over to it. `made` is a list of {head, commit, its base, its tree}.
local function go_over(look)
  for _, one in ipairs(look and look.made or {}) do
    local head, sha, base, tree = one[1], one[2], one[3], one[4]
    local mine, kept = head == S.head and S.base ~= nil, redis.call('HEXISTS', KEPT, head) == 1
    local new, there = json(REC, head), json(REC, sha)
    if (mine or kept) and new.pull and not new.pulled and sha ~= head then
      for _, field in ipairs({ 'verdict', 'run_url', 'unproven' }) do
        if there[field] ~= nil then new[field] = there[field] end
      end
      if (IN_BRANCH[there.record] or 0) > (IN_BRANCH[new.record] or 0) then new.record = there.record end
      new.pulled, new.base, new.tree = head, base, tree
      redis.call('HDEL', REC, head)
      redis.call('HSET', REC, sha, cjson.encode(new))
      log('merged', { fence = new.fence, agent = new.agent, sha = sha, detail = head })
      if kept then
        redis.call('HDEL', KEPT, head)
        new.record = 'unseen'
        redis.call('HSET', KEPT, sha, cjson.encode(new))
      end
      if mine then
        local info = S.info and cjson.decode(S.info) or {}
        info.pull, info.tree = nil, tree
        put('head', sha)
        put('base', base)
        put('info', cjson.encode(info))
        if info.steps then put('key', tree .. ':' .. info.steps .. ':ci') end
      end
    end
  end
end

local function never(head, one) -- a kept intent that can never land: its base was left without it, or it was refused
  redis.call('HDEL', KEPT, head)
  if record(head, 'not-landed') then log('not-landed', { fence = one.fence, agent = one.agent, sha = head }) end
end

-- Every look at the remote says what came since the last one. Commits, oldest first, first parents only. A look that
-- stands on an older `seen` than ours says which known heads are in, and no more: the rest is for the next look.
local function attribute(look)
  if not look then return false end
  go_over(look)
  local fresh = (look.since or '') == (S.seen or '')
  local foreign, base = {}, nil
  if fresh and S.seen then
    for n = #(look.foreign or {}), 1, -1 do
      local commit = look.foreign[n]
      local known = known_base(commit)
      if commit == base then base = nil end
      if known then base = known elseif not base then foreign[#foreign + 1] = commit end
      if known then is_in(commit) end
    end
  end
  for _, head in ipairs(look.heads or {}) do is_in(head) end
  if not fresh then return false end
  local new = 0
  for _, commit in ipairs(foreign) do
    if record(commit, 'foreign') then new = new + 1 end
  end
  if new > 0 then log('foreign-push', { sha = foreign[1], detail = text(new) }) end
  for _, head in ipairs(look.moved or {}) do -- the tip left its base without it: now it can never land
    local one = head ~= S.head and json(KEPT, head) or {} -- (the intent's own head may be on its way again)
    if one.pull and not one.pulled and NOW - one.at < T.cap_ms then one = {} end -- a host merges onto any tip
    if one.record then never(head, one) end
  end
  if look.tip then put('seen', look.tip) end
  return true
end

-- The closed sign ----------------------------------------------------------------------------------------------------
local function close_lane(kind, by, reason, head)
  put('closed', kind)
  put('closed_by', by)
  put('closed_reason', reason)
  put('closed_at', NOW)
  put('closed_head', head)
  log('close', { agent = by, sha = head, detail = reason })
  for _, t in ipairs(Q) do -- whoever waits sees at once that it is not for now
    if there(t) then wake(t.id, 'closed') end
  end
end

local function open_lane(by, reason)
  for _, field in ipairs({ 'closed', 'closed_by', 'closed_reason', 'closed_at', 'closed_head', 'reds', 'red_head' }) do
    put(field, nil)
  end
  log('open', { agent = by, detail = reason })
end

-- How a hold ends ----------------------------------------------------------------------------------------------------
local function final(result) return result == 'green' or result == 'red' end

local function give_up(why) -- nobody could say whether it is sound: the lane goes on, the landing is unproven
  local stands = S.key and json(VERDICTS, S.key).result
  if S.key and not stands then
    redis.call('HSET', VERDICTS, S.key, cjson.encode({ result = 'unknown', at = NOW, by = why, head = S.head }))
  end
  if not final(stands) then mark(S.head, { unproven = true }) end
  log('verdict', { agent = owner().agent, sha = S.head, detail = 'unknown ' .. why })
end

local function wait_for_ci() -- the landing goes on waiting for a run, under its owner's name
  put('state', 'held')
  put('phase', 'landed')
  put('holder', owner().hold or S.head)
  put('ticket', owner().ticket)
  put('who', S.owner)
  put('since', NOW)
  put('deadline', NOW + T.ci_wait_ms)
end

local function stop_looking()
  for _, field in ipairs({ 'look', 'looker', 'look_until' }) do put(field, nil) end
end

-- Gate ci-first: what has landed was green on its candidate branch. It counts as a green run on the lane would.
local function proven_before(head)
  local stands = S.key and json(VERDICTS, S.key) or {}
  if stands.result ~= 'green' then return end
  mark(head, { verdict = 'green', run_url = stands.run_url })
  put('reds', nil)
  put('red_head', nil)
  if S.closed == 'red' and json(REC, head).fixer then open_lane(stands.by, 'green') end
end

-- The candidate of the hold that a CI run speaks of is this hold's, and nobody has judged it yet.
local function its_candidate()
  return state() == 'held' and S.phase == 'claimed' and current() and S.candidate == A.head
end

local function ci_has_until(ms) -- the run's next word is due then; what is left of the cap is for the push
  put('ci_until', math.min(NOW + ms, num('cap') - T.lease_ms))
end

-- What a look (or the server's own answer) says of the intended head: "in", "base" or "other".
local function outcome(saw)
  go_over(A.look)
  local head, agent = S.head, owner().agent
  if saw == 'base' then keep(head) end
  if saw == 'other' and record(head, 'not-landed') then log('not-landed', { agent = agent, sha = head }) end
  local attributed = attribute(A.look)
  -- No candidate of a pull request is smoked before it lands, for the host makes its commit.
  local in_ci = A.gate == 'ci' or (A.gate == 'ci-first' and json(REC, head).pull ~= nil)
  if saw == 'in' then is_in(head) end
  if saw == 'in' and in_ci then
    stop_looking()
    wait_for_ci()
    put('cap', NOW + T.ci_cap_ms)
  else
    if saw == 'in' and A.gate == 'ci-first' then proven_before(S.head) end
    free('handover')
  end
  return { record = json(REC, head).record, head = head, attributed = attributed }
end

local function left(field) return S[field] and num(field) - NOW or nil end

-- Reap ---------------------------------------------------------------------------------------------------------------
local function reap()
  local overdue, spent = num('deadline') <= NOW, num('cap') <= NOW
  if state() == 'offered' and overdue then
    local t = find(S.ticket)
    log('expired', { agent = holder().agent, detail = 'offer' })
    if t then
      beat(t, 0)
      reserve(t, T.reserve_ms)
      use_window(t)
    end
    clear()
  elseif state() == 'held' and overdue then
    if S.phase == 'claimed' then
      log('expired', { agent = holder().agent })
      clear()
    elseif S.phase == 'intent' or S.phase == 'accepting' then
      log('expired', { agent = holder().agent, sha = S.head, detail = 'reconciling' })
      put('state', 'reconciling')
    elseif spent then
      give_up(S.phase == 'smoking' and 'run-late' or 'no-run')
      clear()
    elseif S.phase == 'smoking' then
      log('verdict', { agent = owner().agent, sha = S.head, detail = 'unknown run-lost' })
      wait_for_ci()
    end
  elseif state() == 'reconciling' and S.look and num('look_until') <= NOW then
    stop_looking()
  end
  for n = #Q, 1, -1 do
    local t = Q[n]
    if not there(t) and t.reserved <= NOW then
      log('dead', { agent = json(QI, t.id).agent, detail = t.reserved > 0 and 'reservation' or 'waiter' })
      forget(t.id)
    end
  end
  -- One that ends later than any window may was opened before the clock was set back: nobody could end it.
  if S.window and (num('window') <= NOW or left('window') > T.window_ms) then put('window', nil) end
  settle()
end

-- Answers ------------------------------------------------------------------------------------------------------------
local function durations() -- p50 and p90 of the last holds, in ms
  local all = {}
  for ms in string.gmatch(S.durations or '', '%d+') do all[#all + 1] = tonumber(ms) end
  table.sort(all)
  return all[math.ceil(#all * 0.5)], all[math.ceil(#all * 0.9)]
end

-- The line and the usual length of a hold are for those who wait or look on: a hand-over is quicker without them.
local BRIEF = { granted = true, released = true, reported = true }

local function view(brief)
  local v = { now = NOW, state = state(), phase = S.phase, fence = S.fence or '0', seen = S.seen, window_ms = left('window'),
    run_url = S.run_url, dispatched = S.dispatched and true or nil, kept = {} }
  if S.holder then
    local who, mine = holder(), owner()
    v.holder = { id = S.holder, ticket = S.ticket, agent = who.agent, host = who.host, pid = who.pid, op = who.op,
      prp = who.prp, hotfix = who.hotfix, sha = S.head or who.sha, since_ms = NOW - num('since'), deadline_ms = left('deadline'),
      cap_ms = left('cap') }
    if mine.agent then v.holder.agent, v.holder.prp = mine.agent, mine.prp end -- CI runs in the owner's name
  end
  if S.head then v.head, v.base = S.head, S.base end
  if S.candidate and S.phase == 'claimed' then
    v.candidate = { head = S.candidate, left_ms = left('ci_until'), result = S.proof, reason = S.proof_reason }
  end
  if S.info and S.info:find('"pull":', 1, true) then
    local info = cjson.decode(S.info)
    v.pull = { number = info.pull, tree = info.tree }
  end
  if S.look then v.look = { agent = cjson.decode(S.looker).agent, left_ms = left('look_until') } end
  if S.closed then
    local culprit = S.closed_head and json(REC, S.closed_head) or {}
    v.closed = { kind = S.closed, by = S.closed_by, reason = S.closed_reason, since_ms = NOW - num('closed_at'),
      sha = S.closed_head, agent = culprit.agent, prp = culprit.prp }
  end
  if not brief then -- who they are is passed on as it is stored: reading it costs more than all the rest
    v.p50, v.p90 = durations()
    v.queue = {}
    local whose = #Q > 0 and hash(QI)
    for n, t in ipairs(Q) do
      v.queue[n] = { t.id, there(t) and 'waiting' or 'reserved', math.max(0, t.reserved - NOW), whose[t.id] or '{}' }
    end
  end
  for head, raw in pairs(hash(KEPT)) do
    local one = cjson.decode(raw)
    v.kept[#v.kept + 1] = { head = head, base = one.base, agent = one.agent,
      pull = not one.pulled and one.pull or nil, tree = one.pull and not one.pulled and one.tree or nil }
  end
  return v
end

local function answer(outcome_name, more)
  local a = more or {}
  write()
  a.state = view(BRIEF[outcome_name])
  a.outcome = outcome_name
  return cjson.encode(a)
end
