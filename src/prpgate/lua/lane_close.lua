-- include: lane
-- Close the lane: nobody but a fixer is granted it, everybody keeps their place. A machine does not touch what a
-- person closed.
-- ARGV: by, reason, person (else a machine, for red), head (the culprit, if one is known)
-- Answers done | lost.
reap()
if not A.person and S.closed then return answer('lost') end
close_lane(A.person and 'person' or 'red', A.by, A.reason, A.head or S.closed_head)
return answer('done')
