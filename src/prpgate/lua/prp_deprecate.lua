-- include: prp
-- deprecate: N, V, I without a claim, or own I -> X, pending; the claim ends. Any agent again gets the same answer.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me {agent, host, git_dir, branch, fence, lease, suspect (ms)}
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local claim = claim_of(id, letter)
if letter == 'X' then return answer(true, 'already', { state = letter }) end
if letter ~= 'N' and letter ~= 'V' and letter ~= 'I' then return refuse('not-deprecatable', letter, claim) end
if claim and not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
redis.call('HDEL', claims, id)
issue(id, line, chain, stands)
event('deprecated', id, me.agent, claim and claim.fence, line.seal)
return answer(true, 'deprecated', { state = 'X' })
