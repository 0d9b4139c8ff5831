-- include: lane
-- Say what is about to be pushed. It looks at the closed sign again: the lane may have been closed since the grant.
-- ARGV: fence, intent {head, base}, info, fixer
-- Answers granted {fence, deadline_ms, cap_ms} | closed (still held: give it back) | lost. Idempotent.
reap()
if state() ~= 'held' or not (S.phase == 'claimed' or S.phase == 'intent') or not current() then
  return answer('lost')
end
if S.closed and not A.fixer then return answer('closed') end
write_intent(A.intent, A.info)
return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
