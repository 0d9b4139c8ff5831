-- include: prp
-- renew: the deadline of one's own claim moves; a suspect one is current again. A marker's deadline does not.
-- ARGV: 1 id   2 JSON of me {agent, host, git_dir, branch, fence, lease (ms)}
local id, me = ARGV[1], cjson.decode(ARGV[2])
reap()
seen(me)
local letter = state(id)
local claim = get(claims, id)
if letter ~= 'I' and letter ~= 'C' and letter ~= 'L' then return refuse('not-in-progress', letter, claim) end
if not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
if me.branch ~= '' then claim.branch = me.branch end
local brief = get(briefs, id) or {}
claim.exclusive, claim.shared = brief.exclusive, brief.shared -- what the lane says of its paths now
extend(id, claim, me)
return answer(true, 'renewed', { state = letter, claim = claim })
