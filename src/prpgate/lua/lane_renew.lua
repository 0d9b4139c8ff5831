-- include: lane
-- Hold the lane a while longer, never beyond the hold's cap: a hung holder that keeps renewing must not keep it.
-- ARGV: fence
-- Answers granted {fence, deadline_ms, cap_ms} | lost. Idempotent.
reap()
local phases = { claimed = true, intent = true, accepting = true }
if state() ~= 'held' or not phases[S.phase] or not current() then
  log('renew-late', { fence = A.fence })
  return answer('lost')
end
extend(T.lease_ms)
return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
