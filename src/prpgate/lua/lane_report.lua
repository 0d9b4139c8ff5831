-- include: lane
-- The holder asked the remote what became of its push, and says so.
-- ARGV: fence, saw ("in": the head is the tip or under it | "base": the tip is still the base | "other": the tip left
--       the base without the head, or the remote refused), look {tip, since, heads, foreign, moved}, gate
-- Answers reported {record, head, attributed} | lost.
reap()
if not open_intent() or not current() then return answer('lost') end
return answer('reported', outcome(A.saw))
