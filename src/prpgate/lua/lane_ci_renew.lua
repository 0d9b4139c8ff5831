-- include: lane
-- A CI run that has the lane is still at it; never beyond the cap, which counts over all attempts.
-- ARGV: fence, tried ("1st": that attempt was red, and the run tries once more; logged once)
-- Answers granted {fence, deadline_ms, cap_ms} | lost. Idempotent.
reap()
if state() ~= 'held' or S.phase ~= 'smoking' or not current() then return answer('lost') end
extend(T.ci_lease_ms)
if A.tried and S.tried ~= A.tried then
  put('tried', A.tried)
  log('verdict', { agent = owner().agent, sha = S.head, detail = 'red (' .. A.tried .. ')' })
end
return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
