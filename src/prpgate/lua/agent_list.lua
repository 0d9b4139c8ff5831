-- include: prp
-- include: agents
-- Who is there. ARGV: 1 JSON [[role, glob of names, as in agents]] of prp.toml
-- Answers {ok, agents: [[name, JSON of the entry, unread]], claims: [id, JSON, …]}: only claims that have an effect.
reap()
reap_agents()
local given = cjson.decode(ARGV[1])
local shared, found = redis.call('XRANGE', SHARED, '-', '+'), {}
local all = redis.call('HGETALL', agents)
for i = 1, #all, 2 do
  local known = cjson.decode(all[i + 1])
  if known.at >= now - MONTH then
    local waiting = unread(all[i], roles_of(known, roles_given(all[i], given)), known.since or known.at, shared)
    found[#found + 1] = { all[i], all[i + 1], #waiting }
  end
end
local counting = {}
local held = redis.call('HGETALL', claims)
for i = 1, #held, 2 do
  if claim_of(held[i], (state(held[i]))) then
    counting[#counting + 1] = held[i]
    counting[#counting + 1] = held[i + 1]
  end
end
return answer(true, 'listed', { agents = found, claims = counting })
