-- include: prp
-- include: agents
-- I have these. ARGV: 1 JSON of me {agent, host, git_dir, worktree, kind}
--   2 JSON list of the roles that prp.toml gives me   3 JSON list of message ids
-- Answers {ok, acked: ids that are now, already: ids that were, unknown: ids that are no messages to me, unread}.
local me, declared = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local known = present(me)
local roles = roles_of(known, declared)
local acked, already, unknown = {}, {}, {}
for _, id in ipairs(cjson.decode(ARGV[3])) do
  local one = record(id)
  local mine = one and not one.shared and one.to == me.agent
  if one and one.shared then
    local entry = redis.call('XRANGE', SHARED, one.entry, one.entry)[1]
    mine = entry and concerns(entry, me.agent, roles, known.since)
  end
  if not mine then
    unknown[#unknown + 1] = id
  elseif one.acked[me.agent] then
    already[#already + 1] = id
  else
    one.acked[me.agent] = now
    if one.shared then redis.call('SADD', MAIL .. 'done:' .. me.agent, id)
    else redis.call('XDEL', MAIL .. 'to:' .. me.agent, one.entry) end
    redis.call('XADD', MAIL .. 'read:' .. me.agent, 'MAXLEN', READ_MOST, '*', 'id', id)
    settle(one)
    keep(one)
    acked[#acked + 1] = id
  end
end
return answer(true, 'acked', { acked = acked, already = already, unknown = unknown,
  unread = #unread(me.agent, roles, known.since) })
