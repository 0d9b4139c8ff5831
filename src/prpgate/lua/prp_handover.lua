-- include: prp
-- handover: own I -> I of another agent, under a new fence; the work is the same, so `since` stays. The claim has no
-- place until the other picks it up (prp_start), and names who gave it: that agent may take it back so long. The same
-- agent again gets the same answer.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease, suspect (ms)}
--   4 the other agent   5 a note, "" for none
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local claim = get(claims, id)
if letter == 'I' and claim and claim.agent == ARGV[4] and stands and top.verb == 'handover' and top.agent == me.agent then
  return answer(true, 'already', { state = letter, claim = claim })
end
if letter ~= 'I' then return refuse('not-in-progress', letter, claim) end
if not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
local since = claim.since
claim = grant(id, { agent = ARGV[4], host = '', git_dir = '', branch = claim.branch, lease = me.lease, suspect = me.suspect })
claim.since, claim.giver = since, me.agent
put(claims, id, claim)
if ARGV[5] ~= '' then add_note(id, me.agent, ARGV[5]) end
issue(id, line, chain, stands)
event('handed-over', id, me.agent, claim.fence, 'to ' .. ARGV[4])
tell(ARGV[4], 'handed-over', string.format('%.0f', claim.fence), id, me.agent, ARGV[5])
return answer(true, 'handed-over', { state = 'I', claim = claim })
