-- include: lane
-- A hold with an intent ran out, and nobody is granted by guess. Whoever reaches the remote may look, one at a time.
-- ARGV: who
-- Answers look {fence, left_ms} | none. Idempotent for the same hold while its look lasts.
reap()
if state() ~= 'reconciling' or S.look and S.look ~= A.who.hold then return answer('none') end
if not S.look then
  new_fence()
  put('look', A.who.hold)
  put('looker', cjson.encode(A.who))
  put('look_until', NOW + T.look_ms)
  log('reconcile', { agent = A.who.agent, sha = S.head })
end
return answer('look', { fence = S.fence, left_ms = left('look_until') })
