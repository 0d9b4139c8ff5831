-- include: lane
-- What the look found.
-- ARGV: fence (the look's), saw, look, gate: as for lane_report
-- Answers reported {record, head, attributed} | lost.
reap()
if state() ~= 'reconciling' or not S.look or not current() then return answer('lost') end
return answer('reported', outcome(A.saw))
