-- include: mail
-- What an agent's session begins with: its claims, how much is unread, its lanes. Changes nothing, not even what is
-- overdue; registers nobody.
-- KEYS: those of every PRP script, then s and q of each lane   ARGV: 1 agent  2 JSON list of roles that prp.toml gives it
-- Answers {store: the store's id, now, mine: [{id, title, branch, deadline, over}], unread, urgent, lanes: [{state,
--   phase, agent, prp, deadline, closed, by, reason, waiting, place}]}, times in ms of the server's clock.
local me = ARGV[1]
local function get(key, id)
  local raw = redis.call('HGET', key, id)
  return raw and cjson.decode(raw) or nil
end

local function title(id)
  local rec = get(KEYS[2], id)
  for _, line in ipairs(rec and { rec } or get(KEYS[3], id) or {}) do
    local fields = type(line.fields) == 'string' and cjson.decode(line.fields) or line.fields
    if fields and type(fields.title) == 'string' then return fields.title end
  end
  return ''
end

local mine, all = {}, redis.call('HGETALL', KEYS[4])
for i = 1, #all, 2 do
  local claim = cjson.decode(all[i + 1])
  local over = claim.over or claim.deadline
  if claim.agent == me and over > MAIL_NOW and not claim.reserved then
    mine[#mine + 1] = { id = all[i], title = title(all[i]), branch = claim.branch, deadline = claim.deadline, over = over }
  end
end

local known = get(KEYS[9], me)
local roles = {}
for _, role in ipairs(cjson.decode(ARGV[2])) do roles[role] = true end
if known and known.role then roles[known.role] = true end
local waiting = unread(me, roles, known and known.since or MAIL_NOW)
local urgent = 0
for _, one in ipairs(waiting) do if one[3] == 'urgent' then urgent = urgent + 1 end end

local lanes = {}
for k = 21, #KEYS, 2 do
  local flat, s = redis.call('HGETALL', KEYS[k]), {}
  for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
  local who = s.who and cjson.decode(s.who) or {}
  local queue, place = redis.call('ZRANGE', KEYS[k + 1], 0, -1), nil
  for n, id in ipairs(queue) do
    local one = get(string.sub(KEYS[k + 1], 1, -2) .. 'i', id)
    if one and one.agent == me and not place then place = n end
  end
  lanes[#lanes + 1] = { state = s.state or 'free', phase = s.phase, agent = who.agent, prp = who.prp,
    deadline = tonumber(s.deadline or '0'), closed = s.closed, by = s.closed_by, reason = s.closed_reason,
    waiting = #queue, place = place }
end
return cjson.encode({ store = redis.call('HGET', KEYS[14], 'store_id') or '', now = MAIL_NOW, mine = mine,
  unread = #waiting, urgent = urgent, lanes = lanes })
