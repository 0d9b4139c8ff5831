-- What people are to be told outside of prpgate: what the notify_*.lua scripts share. docs/notify.md has the promises.
-- KEYS: 1 state  2 due  3 when  4 told  5 dead
--   state hash: began, dropped, deliverer (JSON {agent, host, at}), and for each stream "at:<lane>" -> the last id seen
--   due   hash: cause -> JSON {id, event, at, lane, prp, agent, sha, detail, tries, token, by, error}
--   when  sorted set: cause -> when it may be taken (server ms)
--   told, dead  streams, capped: what was told, and what nobody could be told of, as JSON
local STATE, DUE, WHEN, TOLD, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local DUE_MOST, KEPT_MOST = 1000, 200
local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)

local function due(id)
  local raw = redis.call('HGET', DUE, id)
  return raw and cjson.decode(raw) or nil
end

local function finish(one, stream) -- told, or given up
  redis.call('HDEL', DUE, one.id)
  redis.call('ZREM', WHEN, one.id)
  one.token, one.ended = nil, NOW
  redis.call('XADD', stream, 'MAXLEN', KEPT_MOST, '*', 'one', cjson.encode(one))
end
