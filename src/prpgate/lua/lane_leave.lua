-- include: lane
-- A waiter goes: its ticket ends, or its place is kept without a process. What it was just offered or granted, and
-- perhaps never heard of, is given back.
-- ARGV: id (ticket id; also of a hold that has the same id), keep_ms (0: the place is not kept)
-- Answers done. Idempotent.
reap()
local t = find(A.id)
local who = t and json(QI, A.id) or holder()
local held = state() == 'held' and S.phase == 'claimed' and S.holder == A.id
local offered = state() == 'offered' and S.holder == A.id
if t and A.keep_ms > 0 then
  beat(t, 0)
  reserve(t, A.keep_ms)
elseif t then
  forget(A.id)
end
if t or held then log('leave', { agent = who.agent, detail = t and A.keep_ms > 0 and 'kept' or '' }) end
if held or offered then free('handover') end
return answer('done')
