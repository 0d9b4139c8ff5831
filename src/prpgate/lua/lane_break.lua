-- include: lane
-- A person ends whatever holds the lane. A push that is under way may still land: its intent is kept.
-- ARGV: fence (exactly the current one), by, reason
-- Answers done | lost.
reap()
if state() == 'free' or not current() then return answer('lost') end
if S.phase == 'intent' or S.phase == 'accepting' then
  keep(S.head)
elseif S.phase == 'landed' or S.phase == 'smoking' then
  give_up('break')
end
log('break', { agent = A.by, sha = S.head, detail = A.reason }) -- last: it is what the old holder is told
free('handover')
return answer('done')
