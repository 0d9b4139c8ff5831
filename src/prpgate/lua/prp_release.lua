-- include: prp
-- release: one's own claim ends; the PRP stays what it is, and is anybody's to take at once. A reservation ends too.
-- The same agent again, with the same fence, gets the same answer.
-- ARGV: 1 id   2 JSON of me {agent, host, git_dir, branch, fence, lease, suspect (ms)}   3 a note, "" for none
local id, me = ARGV[1], cjson.decode(ARGV[2])
reap()
seen(me)
local letter = state(id)
local claim = get(claims, id)
local last = (get(marks, id) or {}).last
if not claim and last and last.how == 'released' and last.agent == me.agent
  and (me.fence == '' or me.fence == string.format('%.0f', last.fence)) then
  return answer(true, 'already', { state = letter })
end
if claim and claim.reserved and same_place(claim, me) then
  redis.call('HDEL', claims, id)
  return answer(true, 'released', { state = letter })
end
if letter == 'C' then return refuse('completing', letter, claim) end
if letter ~= 'I' and letter ~= 'L' then return refuse('not-in-progress', letter, claim) end
if not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
redis.call('HDEL', claims, id)
mark(id, 'last', { agent = me.agent, branch = claim.branch, fence = claim.fence, at = now, how = 'released' })
mark(id, 'phase', nil)
if ARGV[3] ~= '' then add_note(id, me.agent, ARGV[3]) end
event('released', id, me.agent, claim.fence, ARGV[3])
return answer(true, 'released', { state = letter })
