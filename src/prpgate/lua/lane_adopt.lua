-- include: lane
-- A CI run starts on a commit. A run on the intended head proves that it landed, and takes the lane over; so does one
-- on a commit with the tree that merging the intended pull request makes; so does a
-- run on a foreign or late commit while nobody wants the lane. Any other run goes on without it.
-- ARGV: head, who, run_url, look, key (tree:steps:class of the verdict to come, where it is known)
-- Answers granted {fence, deadline_ms, cap_ms} | apart. Idempotent for the same run (who.hold).
reap()
attribute(A.look)
local info = S.info and S.base and open_intent() and cjson.decode(S.info) or {}
if info.pull and info.tree and A.key and A.key:match('^[^:]*') == info.tree then -- what merging makes: it is merged
  go_over({ made = { { S.head, A.head, S.base, info.tree } } })
end
local stands = A.key and json(VERDICTS, A.key).result
local function smoke()
  put('key', A.key or S.key)
  put('run_url', A.run_url)
  put('tried', nil) -- a run of its own, with attempts of its own
  log('adopt', { agent = owner().agent, sha = A.head, detail = A.run_url })
end
local function waited_for() -- by anybody that is there, eligible or not
  for _, t in ipairs(Q) do
    if there(t) then return true end
  end
end
local own = S.head == A.head and (open_intent() or state() == 'held' and S.phase == 'landed')
if state() == 'held' and S.phase == 'smoking' and S.head == A.head and S.holder == A.who.hold then
  own = nil -- the first reply was lost
elseif own then
  local begun, cap = S.begun, S.phase == 'landed' and num('cap') or NOW + T.ci_cap_ms
  is_in(A.head)
  new_fence()
  hold(A.who, 'smoking', T.ci_lease_ms, 0)
  put('cap', cap) -- over all attempts
  put('begun', begun)
  smoke()
elseif state() == 'free' and not S.window and not waited_for() and not final(stands) then
  new_fence()
  hold(A.who, 'smoking', T.ci_lease_ms, T.ci_cap_ms)
  put('head', A.head)
  local kept = redis.call('HEXISTS', KEPT, A.head) == 1
  if kept then is_in(A.head) elseif record(A.head, 'foreign') then log('foreign-push', { sha = A.head, detail = '1' }) end
  local mine = json(REC, A.head)
  put('owner', cjson.encode({ agent = mine.agent, prp = mine.prp, hold = mine.hold, sha = A.head }))
  smoke()
else
  return answer('apart')
end
return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
