-- include: prp
-- new: a PRP that is nowhere yet becomes N, pending.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
if letter ~= '-' then return refuse('exists', letter) end
if not fits(id, line, top) then return refuse('changed', letter) end
issue(id, line, chain, stands)
event('new', id, me.agent, '', line.seal)
return answer(true, 'new', { state = 'N' })
