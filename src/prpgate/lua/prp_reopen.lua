-- include: prp
-- reopen: D, or L that nobody else has, -> I under a new fence.
-- The same agent in the same worktree again gets the same answer.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}   4 reason
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local claim = get(claims, id)
if letter == 'I' and stands and top.verb == 'reopen' and same_place(claim, me) then
  return answer(true, 'already', { state = letter, claim = claim })
end
if letter ~= 'D' and letter ~= 'L' then return refuse('not-complete', letter, claim) end
if letter == 'L' and claim and not same_place(claim, me) then return refuse('claimed', letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
claim = grant(id, me)
issue(id, line, chain, stands)
event('reopened', id, me.agent, claim.fence, ARGV[4])
return answer(true, 'reopened', { state = 'I', claim = claim })
