-- include: lane
-- Gate ci-first: say which commit is about to be smoked on a branch of its own, before it is anywhere near the lane. The
-- hold may then last as long as CI may take, and one lease more for the push; that is set once in a hold.
-- ARGV: fence, head, key (tree:steps:class of the verdict to come), fixer
-- Answers granted {fence, deadline_ms, cap_ms} | closed (still held: give it back) | lost. Idempotent.
reap()
if state() ~= 'held' or S.phase ~= 'claimed' or not current() then return answer('lost') end
if S.closed and not A.fixer then return answer('closed') end
if S.candidate ~= A.head then
  if not S.candidate then put('cap', NOW + T.ci_cap_ms + T.lease_ms) end
  for _, field in ipairs({ 'run_url', 'tried', 'dispatched', 'proof', 'proof_reason' }) do put(field, nil) end
  put('candidate', A.head)
  put('key', A.key)
  put('since', NOW)
  ci_has_until(T.ci_wait_ms)
  log('candidate', { agent = holder().agent, sha = A.head })
end
extend(T.lease_ms)
return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
