-- The registry, for the scripts of agents and their mail. Needs prp and mail before it.
-- A list of names as a set; cjson cannot tell an empty list from an empty object, and both are none.
local MONTH = 30 * DAY

local function set_of(names)
  local found = {}
  for _, name in ipairs(names or {}) do found[name] = true end
  return found
end

-- Whether a name is a glob's, in time of the one's length times the other's (a Lua pattern tries its stars in every
-- way, and the store serves nobody meanwhile). The glob is a list: a letter; true, any one; false, any number of any;
-- {not: whether the set is turned round, in: [[first, last]]}.
local function is_of(letters, glob)
  local i, j, star, from = 1, 1, nil, nil
  while i <= #letters do
    local want, c = glob[j], letters[i]
    local fits = want == true or want == c
    if type(want) == 'table' then
      local inside = false
      for _, range in ipairs(want['in']) do inside = inside or (range[1] <= c and c <= range[2]) end
      fits = inside ~= want['not']
    end
    if want == false then
      star, from, j = j, i, j + 1
    elseif want ~= nil and fits then
      i, j = i + 1, j + 1
    elseif star then
      from, j = from + 1, star + 1
      i = from
    else
      return false
    end
  end
  while glob[j] == false do j = j + 1 end
  return glob[j] == nil
end

-- The roles that prp.toml gives to a name. `given` is a list of {role, glob of names}.
local function roles_given(name, given)
  local found, letters = {}, {}
  if #given == 0 then return found end
  for c in string.gmatch(name, '[%z\1-\127\192-\255][\128-\191]*') do letters[#letters + 1] = c end
  for _, one in ipairs(given) do
    if is_of(letters, one[2]) then found[#found + 1] = one[1] end
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
