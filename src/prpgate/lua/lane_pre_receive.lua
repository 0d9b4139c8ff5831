-- include: lane
-- The server is about to take a push. What was announced is let in; what was not takes the lane if it is to be had.
-- ARGV: intent {head, base}, who, fixer, info, take (false: only what was announced)
-- Answers granted {fence, deadline_ms, cap_ms} | refused. Idempotent.
reap()
if open_intent() and S.head == A.intent.head then
  put('state', 'held')
  put('phase', 'accepting')
  put('deadline', math.max(num('deadline'), NOW + T.lease_ms))
elseif A.take ~= false and state() == 'free' and not S.window and (not S.closed or A.fixer) then
  new_fence()
  hold(A.who, 'claimed', T.lease_ms, T.cap_ms)
  log('acquire', { agent = A.who.agent, sha = A.intent.head, detail = 'server' })
  write_intent(A.intent, A.info)
  put('phase', 'accepting')
else
  return answer('refused')
end
return answer('granted', { fence = S.fence, deadline_ms = left('deadline'), cap_ms = left('cap') })
