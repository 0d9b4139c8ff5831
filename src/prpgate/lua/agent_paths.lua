-- What others have for themselves, for an agent's hook before an edit. Changes nothing, not even what is overdue.
-- KEYS: 1 claims  2 briefs  3 meta   ARGV: 1 agent
-- Answers {store: the store's id, now, held: [[id, agent, deadline, over, [globs]]]}, times in ms of the server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local claim = cjson.decode(all[i + 1])
  local over = claim.over or claim.deadline
  if claim.agent ~= ARGV[1] and over > now and claim.exclusive and #claim.exclusive > 0 then
    local brief = redis.call('HGET', KEYS[2], all[i])
    local letter = brief and cjson.decode(brief).letter or ''
    if letter == 'I' or letter == 'C' or letter == 'L' then
      held[#held + 1] = { all[i], claim.agent, claim.deadline, over, claim.exclusive }
    end
  end
end
return cjson.encode({ store = redis.call('HGET', KEYS[3], 'store_id') or '', now = now, held = held })
