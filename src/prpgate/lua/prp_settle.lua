-- include: prp
-- settle: a hand edit that landed, or a line that only a branch still has, is taken as a new milestone of who says so.
-- Never complete (that is proven, not typed), never over somebody else's live claim or over a completion that waits.
-- No claim is granted; one's own ends when the PRP is not in progress any more.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}   4 what it settles
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local claim = get(claims, id)
if letter == 'C' then return refuse('completing', letter, claim) end
if (letter == 'I' or letter == 'L') and claim and not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
if line.status == 'complete' then return refuse('not-green', letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
if line.status ~= 'in_progress' then redis.call('HDEL', claims, id) end
issue(id, line, chain, stands)
event('settled', id, me.agent, '', ARGV[4])
return answer(true, 'settled', { state = letter, claim = get(claims, id) })
