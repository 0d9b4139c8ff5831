-- include: prp
-- What one move of the lane's tip does, in one step. Nothing happens unless the cursor is where the caller saw it.
-- ARGV: 1 the cursor as seen, "" for none   2 the new tip   3 JSON of the plan:
--   gate, steps (hash), provisional ("1": the tip is not the lane's yet), conflicts (JSON text)
--   landings: [{head, tree}], oldest first       flags: {seal: "1" | "0"}, did its first landing change more
--   maxrev: {id: number}                          landed: [[id, seal, status]], pending lines that the range brought
--   reset: [id], whose recorded seal changed      waits: {id: {seal, from (index into landings, from 1)}}
--   events: [[event, id, agent, detail]]
-- then triples: id, JSON of the recorded entry, JSON of what the index needs of it (both "" for one that is recorded
-- no more).
-- Answers {ok, proven: [ids]}; {ok: false, code: "changed"} when another sync was first.
local plan = cjson.decode(ARGV[3])
if (redis.call('GET', cursor) or '') ~= ARGV[1] then return answer(false, 'changed') end
reap()

local first = tonumber(redis.call('HGET', meta, 'landings') or '0')
for n, one in ipairs(plan.landings) do redis.call('ZADD', landings, first + n, one.head .. ' ' .. one.tree) end
redis.call('HSET', meta, 'landings', first + #plan.landings)
redis.call('ZREMRANGEBYRANK', landings, 0, -5001)

local function recorded_seal(id)
  local rec = get(recorded, id)
  return rec and rec.seal or ''
end

many()
local stood = {} -- PRPs whose pending lines counted before
for i = 4, #ARGV, 3 do
  local chain = not fresh[pending] and get(pending, ARGV[i])
  if chain and chain[1].on == recorded_seal(ARGV[i]) then stood[#stood + 1] = ARGV[i] end
  if ARGV[i + 1] == '' then redis.call('HDEL', recorded, ARGV[i])
  else write_many(recorded, ARGV[i], ARGV[i + 1]) end
  about_recorded(ARGV[i], ARGV[i + 2])
end
for seal, flag in pairs(plan.flags) do
  if fresh[landed] then write_many(landed, seal, flag) else redis.call('HSETNX', landed, seal, flag) end
end
for id, number in pairs(plan.maxrev) do
  local known = fresh[maxrev] and 0 or tonumber(redis.call('HGET', maxrev, id) or '0')
  if number > known then write_many(maxrev, id, number) end
end
flush()

-- A pending milestone that the range brought leaves its chain, with those before it.
for _, one in ipairs(plan.landed) do
  local id, seal = one[1], one[2]
  local chain = get(pending, id) or {}
  local found
  for n, line in ipairs(chain) do if line.seal == seal then found = n end end
  if found then
    local rest = {}
    for n = found + 1, #chain do rest[#rest + 1] = chain[n] end
    put_chain(id, rest)
    event('landed', id, chain[found].agent, '', seal)
    local marker = get(completing, id)
    if marker and (#rest == 0 or rest[#rest].seal ~= marker.seal) then redis.call('HDEL', completing, id) end
  end
end

-- What is pending and does not stand on the line any more has no effect: who wrote it is told.
for _, id in ipairs(stood) do
  local chain = get(pending, id)
  if chain and chain[1].on ~= recorded_seal(id) then
    local last = chain[#chain]
    event('orphaned', id, last.agent, '', last.seal)
    tell(last.agent, 'orphaned', last.seal, id, last.seal)
  end
end

-- A complete line without evidence waits for a green landing that has it.
for _, id in ipairs(plan.reset) do wait(id, nil) end
for id, one in pairs(plan.waits) do
  local code = redis.call('HGET', landed, one.seal) ~= '0'
  wait(id, { seal = one.seal, since = first + one.from, code = code })
end
local green = {}
local classes = (plan.gate == 'ci' or plan.gate == 'ci-first') and { 'ci' } or { 'ci', 'local' }
for n, one in ipairs(plan.landings) do
  for _, class in ipairs(classes) do
    local verdict = get(verdicts, one.tree .. ':' .. plan.steps .. ':' .. class)
    if verdict and verdict.result == 'green' then green[#green + 1] = first + n end
  end
end
local proven = {}
local waiting = #green > 0 and redis.call('HGETALL', unproven) or {}
for i = 1, #waiting, 2 do
  local one = cjson.decode(waiting[i + 1])
  if one.code and green[#green] >= one.since then
    wait(waiting[i], nil)
    proven[#proven + 1] = waiting[i]
    event('complete', waiting[i], '', '', one.seal .. ' is green in the lane')
  end
end

for _, e in ipairs(plan.events) do
  event(e[1], e[2], e[3], '', e[4])
  if e[1] == 'landed-without-line' then
    local head = string.match(e[4], '^%S+')
    tell(e[3], e[1], head, e[2], head)
  end
end
redis.call('SET', cursor, ARGV[2])
redis.call('HSET', meta, 'gate', plan.gate, 'provisional', plan.provisional, 'conflicts', plan.conflicts)
-- A store that was just filled has its index with that; what is pending from before finds its place too.
if ARGV[1] == '' and redis.call('HLEN', abouts) == redis.call('HLEN', recorded) then
  for _, id in ipairs(redis.call('HKEYS', pending)) do touched[id] = true end
  redis.call('HSET', meta, 'index', '1')
end
return answer(true, 'synced', { proven = proven })
