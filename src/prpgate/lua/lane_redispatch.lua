-- include: lane
-- A landing that CI did not pick up in time: whoever is told so starts another run, once for each landing. Nobody else
-- does, and nobody does again, unless that one says that it surely did not start.
-- ARGV: who, undo (why the run that the caller was told to start surely did not start; it may be tried again at the
--       next deadline)
-- Answers redispatch {head} | none.
reap()
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
