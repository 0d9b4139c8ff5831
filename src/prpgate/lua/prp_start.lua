-- include: prp
-- start, reclaim, adopt: V, or I without a live claim, -> I under a new fence. One winner among racers.
-- The same agent in the same worktree again gets the same answer.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local claim = get(claims, id)
if letter == 'I' and claim then
  if same_place(claim, me) then return answer(true, 'already', { state = letter, claim = claim }) end
  return refuse('claimed', letter, claim)
end
if letter ~= 'V' and letter ~= 'I' then return refuse('not-startable', letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
claim = grant(id, me)
issue(id, line, chain, stands)
event(letter == 'V' and 'started' or 'taken-over', id, me.agent, claim.fence, line.seal)
local before = letter == 'I' and (top.agent or top.fields.owner) -- a pending line names its agent, a recorded one its owner
if before and before ~= me.agent and redis.call('HEXISTS', agents, tostring(before)) == 1 then
  tell(before, 'taken-over', string.format('%.0f', claim.fence), id, me.agent)
end
return answer(true, 'started', { state = 'I', claim = claim, before = letter })
