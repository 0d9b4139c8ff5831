-- Mailboxes: what every script stands on that tells somebody something. docs/messages.md has the promises.
-- Keys of mail are named after KEYS[8], the events, and share its hash tag; KEYS[9] is the registry of agents.
--   records   hash: id -> JSON {id, from, to, text, cause, detail, prp, priority, reply_to, at, shared, due, acked,
--             entry, sent, settled}; `due` are the agents that have to acknowledge it, `acked` says who did and when
--   to:NAME   stream of what NAME has not acknowledged      shared   stream of what went to @all or to @role, once
--   read:NAME stream of what NAME acknowledged, the last 100      done:NAME  set: shared ones that NAME acknowledged
--   strangers set: names with mail that nobody was seen with when it was sent
--   sent:NAME stream of what NAME sent                      settled  stream: acknowledged by all, the last 2,000
-- Nothing that is due is ever dropped: a mailbox that is full takes no more.
local MAIL = string.sub(KEYS[8], 1, -7) .. 'mail:'
local RECORDS, SHARED, SETTLED = MAIL .. 'records', MAIL .. 'shared', MAIL .. 'settled'
local BOX_MOST, SHARED_MOST, READ_MOST, SETTLED_MOST, RECORDS_MOST = 500, 200, 100, 2000, 20000
local STRANGERS, STRANGER_MOST, STRANGERS_MOST = MAIL .. 'strangers', 20, 100
local DAY = 24 * 3600 * 1000
local mail_clock = redis.call('TIME')
local MAIL_NOW = mail_clock[1] * 1000 + math.floor(mail_clock[2] / 1000)

local function record(id)
  local raw = redis.call('HGET', RECORDS, id)
  return raw and cjson.decode(raw) or nil
end

local function keep(one)
  redis.call('HSET', RECORDS, one.id, cjson.encode(one))
end

-- Nothing of a message stays.
local function forget(id)
  local one = record(id)
  if not one then return end
  redis.call('HDEL', RECORDS, id)
  redis.call('XDEL', MAIL .. 'sent:' .. one.from, one.sent)
  if one.shared then
    redis.call('XDEL', SHARED, one.entry)
    for agent in pairs(one.acked) do redis.call('SREM', MAIL .. 'done:' .. agent, id) end
  end
end

-- Everybody whom it waits for has it. Of a shared one, agents that are registered no more are not waited for.
local function is_settled(one)
  for _, agent in ipairs(one.due) do
    if not one.acked[agent] and not (one.shared and redis.call('HEXISTS', KEYS[9], agent) == 0) then return false end
  end
  return true
end

local function forget_oldest_settled()
  local oldest = redis.call('XRANGE', SETTLED, '-', '+', 'COUNT', 1)[1]
  if not oldest then return false end
  redis.call('XDEL', SETTLED, oldest[1])
  forget(oldest[2][2])
  return true
end

local function settle(one)
  if one.settled or not is_settled(one) then return end
  one.settled = true
  redis.call('XADD', SETTLED, '*', 'id', one.id)
  if redis.call('XLEN', SETTLED) > SETTLED_MOST then forget_oldest_settled() end
end

-- Room for one more shared message: the oldest one that nobody is waited for goes.
local function make_room()
  if redis.call('XLEN', SHARED) < SHARED_MOST then return true end
  for _, entry in ipairs(redis.call('XRANGE', SHARED, '-', '+')) do
    local one = record(entry[2][2])
    if not one then redis.call('XDEL', SHARED, entry[1]) return true end
    if is_settled(one) then forget(one.id) return true end
  end
  return false
end

-- Room for one more message to a name. One that nobody was seen with (a slip of the pen, an agent that is to come) gets
-- little, and there are few of them: mail that nobody may ever read must not fill what is there for all.
local function has_room(name, box)
  local waiting = redis.call('XLEN', box)
  if redis.call('HEXISTS', KEYS[9], name) == 1 then return waiting < BOX_MOST end
  if waiting >= STRANGER_MOST then return false end
  if redis.call('SISMEMBER', STRANGERS, name) == 1 then return true end
  if redis.call('SCARD', STRANGERS) >= STRANGERS_MOST then
    for _, other in ipairs(redis.call('SMEMBERS', STRANGERS)) do
      local known = redis.call('HEXISTS', KEYS[9], other) == 1
      if known or redis.call('XLEN', MAIL .. 'to:' .. other) == 0 then redis.call('SREM', STRANGERS, other) end
    end
    if redis.call('SCARD', STRANGERS) >= STRANGERS_MOST then return false end
  end
  redis.call('SADD', STRANGERS, name)
  return true
end

-- "sent"; "already": one of this id is there, and nothing was done; "full": it was not taken.
local function deliver(one)
  if redis.call('HEXISTS', RECORDS, one.id) == 1 then return 'already' end
  if redis.call('HLEN', RECORDS) >= RECORDS_MOST and not forget_oldest_settled() then return 'full' end
  local box = MAIL .. 'to:' .. one.to
  if one.shared then
    if not make_room() then return 'full' end
    box = SHARED
  elseif not has_room(one.to, box) then return 'full' end
  one.at, one.acked = MAIL_NOW, {}
  one.entry = redis.call('XADD', box, '*', 'id', one.id, 'from', one.from, 'to', one.to, 'priority', one.priority,
    'prp', one.prp or '', 'due', one.shared and '\n' .. table.concat(one.due, '\n') .. '\n' or '')
  one.sent = redis.call('XADD', MAIL .. 'sent:' .. one.from, '*', 'id', one.id)
  if one.shared then settle(one) end
  keep(one)
  return 'sent'
end

-- Whether a shared message is for this agent: it was waited for when it was sent (whatever its role is now), or the
-- message is to all or to a role of its, is not its own, and not much older than it is.
local function concerns(entry, agent, roles, since)
  local from, to, due = entry[2][4], entry[2][6], entry[2][12]
  if string.find(due, '\n' .. agent .. '\n', 1, true) then return true end
  if from == agent or tonumber(string.match(entry[1], '^%d+')) < since - DAY then return false end
  return to == '@all' or roles[string.sub(to, 2)] == true
end

-- What an agent has not acknowledged: {stream id, message id, priority}, its own first, then shared ones.
local function unread(agent, roles, since, shared)
  local found = {}
  for _, entry in ipairs(redis.call('XRANGE', MAIL .. 'to:' .. agent, '-', '+')) do
    found[#found + 1] = { entry[1], entry[2][2], entry[2][8] }
  end
  local done = {}
  for _, id in ipairs(redis.call('SMEMBERS', MAIL .. 'done:' .. agent)) do done[id] = true end
  for _, entry in ipairs(shared or redis.call('XRANGE', SHARED, '-', '+')) do
    if not done[entry[2][2]] and concerns(entry, agent, roles, since) then
      found[#found + 1] = { entry[1], entry[2][2], entry[2][8] }
    end
  end
  return found
end
