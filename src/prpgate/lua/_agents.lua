-- The registry, for the scripts of agents and their mail. Needs prp and mail before it.
-- A list of names as a set; cjson cannot tell an empty list from an empty object, and both are none.
local MONTH = 30 * DAY

local function set_of(names)
  local found = {}
  for _, name in ipairs(names or {}) do found[name] = true end
  return found
end

-- The roles that prp.toml gives to a name. `given` is a list of {role, pattern of names}.
local function roles_given(name, given)
  local found = {}
  for _, one in ipairs(given) do
    if string.find(name, one[2]) then found[#found + 1] = one[1] end
  end
  return found
end

-- The roles of an agent: the one that it gave itself, and those that prp.toml gives it.
local function roles_of(known, declared)
  local roles = set_of(declared)
  if known and known.role then roles[known.role] = true end
  return roles
end

-- Agents that were not seen for 30 days go, some at a time. Their mail stays.
local function reap_agents()
  local some = redis.call('HRANDFIELD', agents, 20, 'WITHVALUES')
  for i = 1, #some, 2 do
    if cjson.decode(some[i + 1]).at < now - MONTH then
      redis.call('HDEL', agents, some[i])
      redis.call('DEL', MAIL .. 'done:' .. some[i])
    end
  end
end

-- Who calls is there: `me` is {agent, host, git_dir, worktree, kind, role}, where role is given only to change it.
local function present(me)
  reap_agents()
  seen(me)
  return get(agents, me.agent)
end
