-- include: notify
-- Take notice of what happened since the last look: each event that is to be told becomes due, once. Moving the place
-- in a stream and adding what was found are one step, so of any number who look exactly one adds a cause.
-- KEYS: and 6 the PRPs' events, then each lane's log   ARGV: 1 JSON {events: chosen, lanes: names, in the order of KEYS,
--   who: who looks, to deliver what is found {agent, host}}
-- Answers {now, due: how many, next_ms: until the first may be taken (nil: none), at: where each stream was read to}.
-- The first look ever only notes where the streams are: what was before nobody is told.
local A = cjson.decode(ARGV[1])
local chosen = {}
for _, name in ipairs(A.events) do chosen[name] = true end
local LANE = { close = 'lane-closed', open = 'lane-open', offer = 'your-turn', handover = 'your-turn', window = 'your-turn' }

local function kind(of_lane, fields)
  if not of_lane then return fields.event == 'suspect' and 'claim-suspect' or nil end
  local red = fields.detail == 'red' or fields.detail == 'candidate red'
  if fields.event == 'verdict' then return red and 'red' or nil end
  return LANE[fields.event]
end

local function notice(lane, id, fields)
  local event = kind(lane ~= '', fields)
  if not event or not chosen[event] then return end
  local cause = (lane ~= '' and lane or 'prps') .. ':' .. id .. ':' .. event
  if redis.call('HLEN', DUE) >= DUE_MOST then redis.call('HINCRBY', STATE, 'dropped', 1) return end
  local one = { id = cause, event = event, at = tonumber(string.match(id, '^%d+')), lane = lane, prp = fields.prp or '',
    agent = fields.agent or '', sha = fields.sha or '', detail = fields.detail or '', tries = 0 }
  if redis.call('HSETNX', DUE, cause, cjson.encode(one)) == 1 then redis.call('ZADD', WHEN, NOW, cause) end
end

A.who.at = NOW
redis.call('HSET', STATE, 'deliverer', cjson.encode(A.who))
local began = redis.call('HSETNX', STATE, 'began', string.format('%.0f', NOW)) == 0
local at = {}
for n = 6, #KEYS do
  local lane = n > 6 and A.lanes[n - 6] or ''
  local last = redis.call('HGET', STATE, 'at:' .. lane)
  if not last and not began then
    local newest = redis.call('XREVRANGE', KEYS[n], '+', '-', 'COUNT', 1)[1]
    last = newest and newest[1] or '0-0'
  end
  last = last or '0-0' -- a lane that is new since
  for _, entry in ipairs(redis.call('XRANGE', KEYS[n], '(' .. last, '+', 'COUNT', 2000)) do
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    notice(lane, entry[1], fields)
    last = entry[1]
  end
  redis.call('HSET', STATE, 'at:' .. lane, last)
  at[#at + 1] = last
end
local first = redis.call('ZRANGE', WHEN, 0, 0, 'WITHSCORES')
return cjson.encode({ now = NOW, due = redis.call('HLEN', DUE), at = at,
  next_ms = first[2] and math.max(0, tonumber(first[2]) - NOW) or nil })
