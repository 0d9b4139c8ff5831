-- include: lane
-- A landing that CI did not pick up in time: whoever is told so starts another run, once for each landing. Nobody else
-- does, and nobody does again, unless that one says that it surely did not start. Gate ci-first: the same for the
-- candidate of the hold; its lander starts it, while there is time left for one.
-- ARGV: who, undo (why the run that the caller was told to start surely did not start; it may be tried again at the
--       next deadline), or, of a candidate: fence, head
-- Answers redispatch {head} | none.
reap()
if A.fence then
  if not its_candidate() or S.proof or S.run_url or S.dispatched then return answer('none') end
  if num('ci_until') > NOW or num('cap') - T.lease_ms <= NOW then return answer('none') end
  put('dispatched', S.holder)
  ci_has_until(T.ci_wait_ms)
  log('redispatch', { agent = holder().agent, sha = S.candidate })
  return answer('redispatch', { head = S.candidate })
end
if state() ~= 'held' or S.phase ~= 'landed' then return answer('none') end
if A.undo then
  if S.dispatched == A.who.hold then
    put('dispatched', nil)
    log('redispatch', { agent = A.who.agent, sha = S.head, detail = 'not started: ' .. A.undo })
  end
  return answer('none')
end
if S.dispatched or num('deadline') > NOW then return answer('none') end -- cap: see reap
put('dispatched', A.who.hold)
put('deadline', NOW + T.ci_wait_ms)
log('redispatch', { agent = A.who.agent, sha = S.head })
return answer('redispatch', { head = S.head })
