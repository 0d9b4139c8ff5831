-- include: lane
-- The server took a push: the best evidence there is, so it needs no fence.
-- ARGV: head, look, gate
-- Answers reported {record, head, attributed} | lost.
reap()
if not open_intent() or S.head ~= A.head then return answer('lost') end
return answer('reported', outcome('in'))
