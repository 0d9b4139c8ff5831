-- include: prp
-- note: a word for whoever works on the PRP next (the last 20 are kept).
-- ARGV: 1 id   2 JSON of me {agent, host, git_dir, branch, fence, lease, suspect (ms)}   3 text
local id, me = ARGV[1], cjson.decode(ARGV[2])
reap()
seen(me)
local letter = state(id)
if letter == '-' then return refuse('unknown', letter) end
if not add_note(id, me.agent, ARGV[3]) then return answer(true, 'already', { state = letter }) end
event('note', id, me.agent, '', ARGV[3])
return answer(true, 'noted', { state = letter })
