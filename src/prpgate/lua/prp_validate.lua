-- include: prp
-- validate: N -> V, pending. The same agent again gets the same answer.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
if letter == 'V' and stands and top.agent == me.agent then return answer(true, 'already', { state = letter }) end
local claim = get(claims, id)
if letter ~= 'N' then return refuse('not-new', letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
issue(id, line, chain, stands)
event('validated', id, me.agent, '', line.seal)
return answer(true, 'validated', { state = 'V' })
