-- include: prp
-- complete --undo: own C -> I; the marker and the pending line end.
-- ARGV: 1 id   2 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}
local id, me = ARGV[1], cjson.decode(ARGV[2])
reap()
seen(me)
local letter = state(id)
local claim = get(claims, id)
if letter == 'I' and owns(claim, me) then return answer(true, 'already', { state = letter, claim = claim }) end
if letter ~= 'C' then return refuse('not-completing', letter, claim) end
if not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
end_completing(id)
event('complete-undone', id, me.agent, claim.fence, '')
return answer(true, 'undone', { state = 'I', claim = claim })
