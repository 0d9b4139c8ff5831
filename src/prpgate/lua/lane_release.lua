-- include: lane
-- Give back a lane on which nothing was pushed. After an intent only evidence ends a hold: see lane_report.
-- ARGV: fence, why (nothing was pushed, where somebody should know)
-- Answers released | lost. The next in line is offered the lane within this script, so nobody barges in between.
reap()
if state() ~= 'held' or S.phase ~= 'claimed' or not current() then return answer('lost') end
log('release', { agent = holder().agent, sha = S.candidate or holder().sha, detail = A.why })
free('handover')
return answer('released')
