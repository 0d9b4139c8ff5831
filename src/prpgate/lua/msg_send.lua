-- include: prp
-- include: agents
-- One message. The caller makes its id: the same id again changes nothing and gets the same answer.
-- ARGV: 1 JSON of the message {id, from, to, text, prp, priority, reply_to}: to a name, to "@role" or to "@all"
--   2 JSON of me {agent, host, git_dir, worktree, kind}   3 JSON [[role, glob of names, as in agents]] of prp.toml
-- Answers {ok, code: sent | already, due: how many are to acknowledge it, known: whether anybody answers to the name,
--   names: those that do, if nobody}; {ok: false, code: full | id-taken}.
local one, given = cjson.decode(ARGV[1]), cjson.decode(ARGV[3])
present(cjson.decode(ARGV[2]))
local before = record(one.id)
if before and (before.from ~= one.from or before.to ~= one.to or before.text ~= one.text) then
  return answer(false, 'id-taken')
end
local known = true
one.due = { one.to }
if string.sub(one.to, 1, 1) == '@' then
  one.shared, one.due = true, {}
  local role, all = string.sub(one.to, 2), redis.call('HGETALL', agents)
  for i = 1, #all, 2 do
    local fits = one.to == '@all' or roles_of(cjson.decode(all[i + 1]), roles_given(all[i], given))[role]
    if fits and all[i] ~= one.from then one.due[#one.due + 1] = all[i] end
  end
  known = #one.due > 0
else
  known = redis.call('HEXISTS', agents, one.to) == 1
end
local code = deliver(one)
local names = {}
if not known then
  local some = redis.call('HRANDFIELD', agents, 1000, 'WITHVALUES')
  for i = 1, #some, 2 do
    names[#names + 1] = some[i]
    local role = cjson.decode(some[i + 1]).role
    if role then names[#names + 1] = '@' .. role end
  end
end
return answer(code ~= 'full', code, { due = #(before or one).due, known = known, names = names })
