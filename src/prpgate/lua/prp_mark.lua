-- include: prp
-- block, assign, phase: what is said of a PRP while it is open. Live only: no line, no number.
-- ARGV: 1 id   2 JSON of me {agent, host, git_dir, branch, fence, lease, suspect (ms)}   3 blocked | assigned | phase
--   4 JSON of what is said, "" to take it back   5 "1": also of a PRP that somebody else has claimed (phase only)
local id, me, kind = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
reap()
seen(me)
local letter = state(id)
local claim = get(claims, id)
if not RANKS[letter] then return refuse('not-open', letter, claim) end
if kind == 'phase' and letter ~= 'I' then return refuse('not-in-progress', letter, claim) end
if kind == 'phase' and ARGV[5] ~= '1' and not owns(claim, me) then return refuse(not_own(claim, me), letter, claim) end
local before = (get(marks, id) or {})[kind]
if ARGV[4] == '' then
  if not before then return answer(true, 'already', { state = letter, claim = claim }) end
  mark(id, kind, nil)
  event(kind .. '-ended', id, me.agent, '', '')
  return answer(true, 'marked', { state = letter, claim = claim })
end
local said = cjson.decode(ARGV[4])
local same = before ~= nil
for name, value in pairs(said) do same = same and before[name] == value end
if same then return answer(true, 'already', { state = letter, claim = claim }) end
event(kind, id, me.agent, '', ARGV[4])
said.by, said.at = me.agent, now
mark(id, kind, said)
return answer(true, 'marked', { state = letter, claim = claim })
