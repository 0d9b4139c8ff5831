-- include: prp
-- include: agents
-- A sign of life. ARGV: 1 JSON of me {agent, host, git_dir, worktree, kind; role: only to change it, "" for none}
--   2 JSON list of the roles that prp.toml gives me
-- Answers {ok, unread: how many messages, role}.
local me = cjson.decode(ARGV[1])
local known = present(me)
if me.role then
  known.role = me.role ~= '' and me.role or nil
  put(agents, me.agent, known)
end
local waiting = unread(me.agent, roles_of(known, cjson.decode(ARGV[2])), known.since)
return answer(true, 'seen', { unread = #waiting, role = known.role })
