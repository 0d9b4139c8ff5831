-- include: lane
-- acquire = claim = heartbeat: take the lane, claim what was offered, or stand in line. With an intent, the grant and
-- the intent are one step, so a push that was let go is never without one.
-- ARGV: who {ticket, hold, agent, host, pid, op, prp, sha, hotfix: why it goes first}, plain (a push that cannot wait), fixer, intent {head,
--       base}, info (what a record of the landing shall hold), seen (the tip that the caller compared its base with),
--       place (a push that cannot land as it is: it keeps a place in line, and the lane is not touched)
-- Answers granted {deadline_ms, cap_ms, fence} | queued | window | refused {reserved_ms} | closed, with {position};
-- or moved: another tip has been seen meanwhile, compare again. git fixed the base before the hook ran, so a push
-- from an older tip is sure to be refused by the remote; it must not hold the lane for that.
-- Idempotent: asked again by the same hold, whose first reply was lost, it answers granted with the same fence.
local me = A.who
local ticket, granted = me.ticket, false

local function take(event)
  forget(ticket)
  hold(me, 'claimed', T.lease_ms, T.cap_ms)
  log(event, { agent = me.agent, sha = me.sha })
  granted = true
end

-- A hotfix goes before everybody but earlier ones: its number counts from far below. Who asks again without is back
-- at the place of that number.
local FAR = 1000000000000
local function rank(t, old)
  local was, is = old.hotfix ~= nil, me.hotfix ~= nil
  if was == is then return end
  local _, n = find(ticket)
  table.remove(Q, n)
  redis.call('ZINCRBY', QS, is and -FAR or FAR, ticket)
  n = redis.call('ZRANK', QS, ticket) + 1
  table.insert(Q, n, t)
  if not is then return end
  log('hotfix', { agent = me.agent, sha = me.sha, detail = me.hotfix })
  for behind = n + 1, #Q do -- they see at once why they moved down
    if there(Q[behind]) then wake(Q[behind].id, 'hotfix') end
  end
end

local function stand_in_line()
  local t = find(ticket)
  local old = t and json(QI, ticket) or {}
  if not t then
    put('number', num('number') + 1)
    redis.call('ZADD', QS, S.number, ticket)
    t = { id = ticket, alive = 0, reserved = 0, used = false, new = true }
    Q[#Q + 1] = t
  end
  rank(t, old)
  local mine = { since = old.since or NOW, fixer = A.fixer or nil }
  for field, value in pairs(me) do mine[field] = value end
  redis.call('HSET', QI, ticket, cjson.encode(mine))
  redis.call('DEL', WAKE .. ticket) -- he is here and sees for himself
  beat(t, T.alive_ms)
  return t
end

local function before_me() -- is any eligible ticket ahead of mine, there or (unless mine is a hotfix) absent?
  for _, t in ipairs(Q) do
    if t.id == ticket then return false end
    if eligible(t) and (there(t) or not me.hotfix) then return true end
  end
end

local function keep_place(t) -- a push cannot wait: its place is kept without a process
  local _, place = find(ticket)
  local p50 = durations() or 0
  beat(t, 0)
  reserve(t, math.max(T.reserve_ms, math.max(0, left('deadline') or 0) + p50 * place + 60000))
end

reap()
if state() == 'held' and S.holder == me.hold and (S.phase == 'claimed' or S.phase == 'intent') then
  granted = true
elseif A.place then
  local t = stand_in_line()
  keep_place(t)
  if t.new then log('queue', { agent = me.agent, sha = me.sha }) end
  settle()
elseif A.seen and A.seen ~= (S.seen or '') then
  return answer('moved')
elseif state() == 'offered' and S.holder == ticket then
  take('claim')
else
  local t = stand_in_line()
  if state() == 'free' and S.window and eligible(t) and not before_me() then put('window', nil) end
  local first, _, window = line()
  if state() == 'free' and not S.window and first == t and not window then
    new_fence()
    take('acquire')
  else
    settle()
    if t.new then log('queue', { agent = me.agent, sha = me.sha }) end
  end
end

local shut = S.closed and not A.fixer
if granted and A.intent then
  if not shut or S.head == A.intent.head then
    write_intent(A.intent, A.info)
  else -- the lane was closed between the offer and the claim: give it back, stand in line again
    granted = false
    if S.phase == 'claimed' then
      log('release', { agent = me.agent, detail = 'closed' })
      free('handover')
    end
    stand_in_line()
    log('queue', { agent = me.agent, sha = me.sha })
  end
end
if granted then
  return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
end
local t, position = find(ticket)
local in_window = state() == 'free' and S.window
if A.plain and not A.place and (shut or not in_window) then keep_place(t) end
local name = A.place and 'refused' or shut and 'closed' or A.plain and (in_window and 'window' or 'refused') or 'queued'
return answer(name, { position = position, reserved_ms = t.reserved - NOW, ms_left = in_window and left('window') })
