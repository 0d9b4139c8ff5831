-- include: lane
-- Open the lane, by a person. A machine opens only through a verdict, and never what a person closed.
-- ARGV: by, reason
-- Answers done | lost (it is open).
reap()
if not S.closed then return answer('lost') end
open_lane(A.by, A.reason)
put('opened_at', NOW) -- what had landed by now closes it no more
settle()
return answer('done')
