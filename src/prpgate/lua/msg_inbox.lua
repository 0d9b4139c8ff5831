-- include: prp
-- include: agents
-- Messages, without a change to any. ARGV: 1 JSON of me {agent, host, git_dir, worktree, kind}
--   2 JSON list of the roles that prp.toml gives me   3 unread | read | sent   4 how many at most
-- Unread: urgent ones first, then the oldest. Read and sent: the newest first.
-- Answers {ok, unread: how many there are, messages: [JSON of the record], after: [last id of my stream, of shared]}.
local me, which, most = cjson.decode(ARGV[1]), ARGV[3], tonumber(ARGV[4])
local known = present(me)
local waiting = unread(me.agent, roles_of(known, cjson.decode(ARGV[2])), known.since)
local total, ids = #waiting, {}
if which == 'unread' then
  local rank = { urgent = 1, high = 2, normal = 3, low = 4 }
  local function at(id) return tonumber(string.match(id, '^%d+')), tonumber(string.match(id, '%d+$')) end
  table.sort(waiting, function(a, b)
    if a[3] ~= b[3] then return (rank[a[3]] or 3) < (rank[b[3]] or 3) end
    local a_ms, a_n = at(a[1])
    local b_ms, b_n = at(b[1])
    if a_ms ~= b_ms then return a_ms < b_ms end
    if a_n ~= b_n then return a_n < b_n end
    return a[2] < b[2]
  end)
  for i = 1, math.min(most, #waiting) do ids[i] = waiting[i][2] end
else
  for i, entry in ipairs(redis.call('XREVRANGE', MAIL .. which .. ':' .. me.agent, '+', '-', 'COUNT', most)) do
    ids[i] = entry[2][2]
  end
end
local found = {}
for _, id in ipairs(ids) do
  local raw = redis.call('HGET', RECORDS, id)
  if raw then found[#found + 1] = raw end
end
local function last(key)
  local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or '0-0'
end
return answer(true, 'read', { unread = total, messages = found, after = { last(MAIL .. 'to:' .. me.agent), last(SHARED) } })
