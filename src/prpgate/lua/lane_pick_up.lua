-- include: lane
-- Gate ci-first: a CI run has the candidate of the hold, or is still at it. Nobody's hold changes by it: the lander goes
-- on renewing its own, and sees here that it does not wait in vain. A second run of the same does not push the first
-- one's name away while that is heard of.
-- ARGV: fence, head, run_url, tried ("1st": that attempt was red, and the run tries once more; logged once)
-- Answers granted {fence, deadline_ms: until the run's next word is due, cap_ms} | lost. Idempotent.
reap()
if not its_candidate() or S.proof then return answer('lost') end
if not S.run_url or S.run_url ~= A.run_url and num('ci_until') <= NOW then
  put('run_url', A.run_url)
  put('since', NOW)
  log('pick-up', { agent = holder().agent, sha = A.head, detail = A.run_url })
  wake(S.ticket, 'pick-up')
end
ci_has_until(T.ci_lease_ms)
if A.tried and S.tried ~= A.tried then
  put('tried', A.tried)
  log('verdict', { agent = holder().agent, sha = A.head, detail = 'red (' .. A.tried .. ')' })
end
return answer('granted', { fence = S.fence, deadline_ms = left('ci_until'), cap_ms = left('cap') })
