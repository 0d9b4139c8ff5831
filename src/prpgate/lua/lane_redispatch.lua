-- include: lane
-- A landing that CI did not pick up in time: whoever calls this starts another run, and nobody else does meanwhile.
-- ARGV: who
-- Answers redispatch {head} | none.
reap()
if state() ~= 'held' or S.phase ~= 'landed' or num('deadline') > NOW then return answer('none') end -- cap: see reap
put('deadline', NOW + T.ci_wait_ms)
log('redispatch', { agent = A.who.agent, sha = S.head })
return answer('redispatch', { head = S.head })
