-- include: prp
-- complete: own I -> C, a line without evidence and a marker with a deadline of its own; or, after a green landing,
-- own I -> D at once: evidence in the line, the claim ends.
-- ARGV: 1 id   2 JSON of the line   3 JSON of me   4 ms until the marker's deadline
--   5 the field in verdicts whose green is the evidence, "" for none
local id, line, me = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
reap()
seen(me)
local letter, top, chain, stands = state(id)
local claim = get(claims, id)
if letter == 'D' then return answer(true, 'already', { state = letter }) end
if letter == 'C' and owns(claim, me) and not line.evidence then
  return answer(true, 'already', { state = letter, claim = claim })
end
if letter == 'C' then return refuse('completing', letter, claim) end
if letter ~= 'I' then return refuse('not-in-progress', letter, claim) end
if not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
if not fits(id, line, top) then return refuse('changed', letter, claim) end
if line.evidence then
  local verdict = get(verdicts, ARGV[5])
  if not verdict or verdict.result ~= 'green' then return refuse('not-green', letter, claim) end
  redis.call('HDEL', claims, id)
  event('complete', id, me.agent, claim.fence, line.seal)
  letter = 'D'
else
  put(completing, id, { seal = line.seal, deadline = now + tonumber(ARGV[4]), agent = me.agent })
  event('completing', id, me.agent, claim.fence, line.seal)
  letter = 'C'
end
issue(id, line, chain, stands)
return answer(true, 'completed', { state = letter, claim = claim })
