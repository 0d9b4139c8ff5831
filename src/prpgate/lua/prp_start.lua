-- include: prp
-- start, reclaim, adopt: V, or I without a claim, -> I under a new fence. One winner among racers. A claim that the
-- caller handed over and nobody has picked up yet is none: it is taken back, and `since` stays. A reservation of
-- one's own (prp_next made it) keeps its fence. A taker may stand on what the lane records instead of a line of the
-- claim that ended: that line may be lost with its worktree. It is nobody's then.
-- The same agent in the same worktree again gets the same answer. The agent whom a claim was handed to takes it up where
-- it is (taken-up): the fence and the line are there already.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease, suspect (ms)}
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local held = claim_of(id, letter)
local back = letter == 'I' and held and held.git_dir == '' and held.giver == me.agent
local claim = not back and held or nil
local mine = same_place(claim, me)
if letter == 'I' and claim and not claim.reserved then
  if claim.agent == me.agent and claim.git_dir == '' then -- handed over, and nobody has picked it up yet
    claim.host, claim.git_dir, claim.branch, mine = me.host, me.git_dir, me.branch, true
    claim.giver = nil
    extend(id, claim, me)
    return answer(true, 'taken-up', { state = letter, claim = claim })
  end
  if not mine then return refuse('claimed', letter, claim) end
  if claim.suspect then extend(id, claim, me) end
  return answer(true, 'already', { state = letter, claim = claim })
end
if letter ~= 'V' and letter ~= 'I' then return refuse('not-startable', letter, claim) end
if claim and not mine then return refuse('claimed', letter, claim) end
local said = get(marks, id) or {}
if said.assigned and said.assigned.agent ~= me.agent then
  return refuse('assigned', letter, held, { assigned = said.assigned })
end
local rec = get(recorded, id)
local from_lane = letter == 'I' and stands and rec and line.on == rec.seal
if not fits(id, line, from_lane and rec or top) then return refuse('changed', letter, held) end
if claim then
  claim.reserved = nil
  extend(id, claim, me)
else
  claim = grant(id, me)
  if back then
    claim.since = held.since
    put(claims, id, claim)
  end
end
mark(id, 'last', nil)
issue(id, line, chain, stands and not from_lane)
event(letter == 'V' and 'started' or 'taken-over', id, me.agent, claim.fence, line.seal)
-- Who is told: the one it was handed to; a pending line names its agent, a recorded one its owner.
local before = back and held.agent or letter == 'I' and (top.agent or top.fields.owner)
if before and before ~= me.agent and redis.call('HEXISTS', agents, tostring(before)) == 1 then
  tell(before, back and 'taken-back' or 'taken-over', string.format('%.0f', claim.fence), id, me.agent)
end
return answer(true, 'started', { state = 'I', claim = claim, before = letter })
