-- include: prp
-- next: picks the first PRP that is to be had and reserves it for the caller, who then starts it (prp_start) with a
-- line that only the caller can compute; or lists what is to be had and what is not; or says why one is not. One
-- place knows what stands in the way. Costs nothing for what is complete. What was handed over to the caller comes
-- first, whatever is full: it is the caller's claim already, to be taken up by prp_start. Then validated ones, then
-- those in progress that nobody has; by priority, then id. A reservation of one's own is answered again.
-- KEYS: 21 s of the lane that is the record   22 its q
-- ARGV: 1 JSON {mode: claim | list | why, me {agent, host, git_dir, branch, fence, lease, suspect (ms)}, id (why),
--   reserve (ms), skip [ids], domain [globs of ids], asked (true: the caller asked for this domain; what was handed
--   over to it is looked for in there only), most (claim, list: entries that are told),
--   limits {agent, total, waiting, status {letter: n}, areas [[glob, n]]}, closed ("1": claims wait while it is)}
-- `seals` are those that a line may stand on: the effective one, and of one in progress the lane's.
-- Answers: claim {ok, code: reserved | handed-over, id, claim, seals}, or {ok: false, code: none | limit | unindexed, general [], passed []};
--   list {ready [[id, seals]], waiting [[id, obstacle]], claimed [[id, obstacle]], more, general}; why {id, state, obstacles [], general []}.
--   An obstacle is {code, ...}: status, claimed, blocked, assigned, depends, scope, area; general ones: agent, total,
--   status-limit, waiting, closed.
local A = cjson.decode(ARGV[1])
local me, limits = A.me, A.limits
reap()
if redis.call('HGET', meta, 'index') ~= '1' then return answer(false, 'unindexed') end

-- Whether some path could be matched by both globs. `*` and what stands for one character: anything but a slash;
-- `**`: anything. Errs towards yes (sets count as `*`). A glob covers what is below the folder that it names.
-- A ledger is anybody's text, and while two of its globs are compared the store serves nobody: what one PRP, or all of
-- a call, may cost has an end, and behind that everything overlaps.
local STAR, DEEP = 1, 2
local STEPS_ONE, STEPS_ALL = 50000, 1000000
local left, left_in_all, tokens_of, plain_of = STEPS_ONE, STEPS_ALL, {}, {}
local function tokens(glob)
  if tokens_of[glob] then return tokens_of[glob] end
  local found, i = {}, 1
  while i <= #glob do
    local c = string.sub(glob, i, i)
    if string.sub(glob, i, i + 1) == '**' then
      found[#found + 1] = DEEP
      i = i + 1
      if string.sub(glob, i + 1, i + 1) == '/' then i = i + 1 end
    elseif c == '*' or c == '?' then
      found[#found + 1] = STAR
    elseif c == '[' and string.find(glob, ']', i + 2, true) then
      found[#found + 1] = STAR
      i = string.find(glob, ']', i + 2, true)
    else
      found[#found + 1] = c
    end
    i = i + 1
  end
  tokens_of[glob] = found
  return found
end

local function plain_start(glob)
  plain_of[glob] = plain_of[glob] or string.match(glob, '^[^*?%[]*')
  return plain_of[glob]
end

local function meet(one, other)
  local a, b, known = tokens(one), tokens(other), {}
  local function go(i, j)
    local key = i * 1000 + j
    if known[key] ~= nil then return known[key] end
    left, left_in_all = left - 1, left_in_all - 1
    if left < 0 or left_in_all < 0 then return true end
    local x, y = a[i], b[j]
    local yes
    if x == nil and y == nil then yes = true
    elseif type(x) == 'number' then
      yes = go(i + 1, j) or (y ~= nil and (type(y) == 'number' or x == DEEP or y ~= '/') and go(i, j + 1))
    elseif type(y) == 'number' then
      yes = go(i, j + 1) or (x ~= nil and (y == DEEP or x ~= '/') and go(i + 1, j))
    else
      yes = x ~= nil and x == y and go(i + 1, j + 1)
    end
    known[key] = yes
    return yes
  end
  return go(1, 1)
end

local function overlap(one, other)
  local plain, too = plain_start(one), plain_start(other)
  left = left - 1
  if left < 0 then return true end
  local n = math.min(#plain, #too)
  if string.sub(plain, 1, n) ~= string.sub(too, 1, n) then return false end
  return meet(one, other) or meet(one .. '/**', other) or meet(one, other .. '/**')
end

local function touch(globs, others) -- the first pair that overlaps
  for _, one in ipairs(globs or {}) do
    for _, other in ipairs(others or {}) do
      if overlap(one, other) then return one, other end
    end
  end
end

local function all_paths(one)
  local found = {}
  for _, list in ipairs({ one.exclusive or {}, one.shared or {} }) do
    for _, glob in ipairs(list) do found[#found + 1] = glob end
  end
  return found
end

-- What is going on: claims of PRPs that somebody works on, and how many are in each state.
-- `present`: also those that are completing: their paths are theirs until the work has landed.
local held, working, present, mine, own = {}, {}, {}, {}, nil
local raw = redis.call('HGETALL', claims)
for i = 1, #raw, 2 do
  local id, claim = raw[i], cjson.decode(raw[i + 1])
  local brief = get(briefs, id)
  if brief and claim_of(id, brief.letter) then
    held[id] = claim
    if claim.reserved or brief.letter == 'I' or brief.letter == 'C' then present[#present + 1] = id end
    if claim.reserved or brief.letter == 'I' then
      working[#working + 1] = id
      if claim.agent == me.agent then mine[#mine + 1] = id end
    end
    if claim.reserved and same_place(claim, me) then own = id end
  end
end
table.sort(working)
table.sort(present)
table.sort(mine)
local count = { I = #working, C = redis.call('ZLEXCOUNT', open, '[4', '(5'), L = redis.call('ZLEXCOUNT', open, '[5', '(6') }

local function general()
  local found = {}
  local function say(code, limit, number, more)
    local one = more or {}
    one.code, one.limit, one.count = code, limit, number
    found[#found + 1] = one
  end
  if A.closed == '1' then
    local closed = redis.call('HMGET', KEYS[21], 'closed', 'closed_by', 'closed_reason')
    if closed[1] then say('closed', nil, nil, { by = closed[2] or '', reason = closed[3] or '' }) end
  end
  if limits.agent and #mine >= limits.agent then say('agent', limits.agent, #mine, { ids = mine }) end
  local total = count.I + count.C + count.L
  if limits.total and total >= limits.total then say('total', limits.total, total, { ids = working }) end
  for letter, limit in pairs(limits.status or {}) do
    if count[letter] >= limit then say('status-limit', limit, count[letter], { letter = letter }) end
  end
  local queue = redis.call('ZCARD', KEYS[22])
  if limits.waiting and math.max(queue, count.C + count.L) >= limits.waiting then
    say('waiting', limits.waiting, math.max(queue, count.C + count.L), { queue = queue, landing = count.C + count.L })
  end
  return found
end

local function in_domain(id)
  if not A.domain then return true end
  if #id > 200 then return false end -- whatever it is, it is no id that somebody gave
  for _, glob in ipairs(A.domain) do
    local plain = plain_start(glob)
    left = STEPS_ONE
    if string.sub(id, 1, #plain) == plain and meet(glob, id) then return true end
  end
  return false
end

local function holder(id)
  local claim = held[id]
  return { id = id, agent = claim.agent, since = claim.since, deadline = claim.deadline, over = claim.over or claim.deadline,
    suspect = claim.suspect, reserved = claim.reserved, branch = claim.branch, host = claim.host }
end

-- What stands in the way of one PRP: all of it, or only the first when that is enough.
local function obstacles(id, brief, first)
  local found = {}
  left = STEPS_ONE
  local function say(code, more)
    more.code = code
    found[#found + 1] = more
    return first
  end
  if held[id] and say('claimed', holder(id)) then return found end
  if brief.letter ~= 'V' and brief.letter ~= 'I' and say('status', { letter = brief.letter }) then return found end
  local said = get(marks, id) or {}
  local blocked = said.blocked
  if blocked and not (blocked.waits_for and is_done(blocked.waits_for)) and say('blocked', blocked) then return found end
  if said.assigned and said.assigned.agent ~= me.agent and say('assigned', said.assigned) then return found end
  local waits = {}
  for _, name in ipairs(brief.depends_on or {}) do
    if not is_done(name) then
      local other = resolve(name)
      waits[#waits + 1] = { name = name, id = other, letter = other and get(briefs, other).letter or nil,
        claim = other and held[other] and holder(other) or nil }
    end
  end
  if #waits > 0 and say('depends', { names = waits }) then return found end
  local paths = all_paths(brief)
  if #paths == 0 then return found end
  for _, other in ipairs(present) do
    local claim = other ~= id and held[other] or {}
    local ours, theirs = touch(paths, claim.exclusive)
    if not ours then ours, theirs = touch(brief.exclusive, claim.shared) end
    if ours then
      local one = holder(other)
      one.ours, one.theirs = ours, theirs
      if say('scope', one) then return found end
    end
  end
  for _, area in ipairs(limits.areas or {}) do
    if touch(paths, { area[1] }) then
      local there = {}
      for _, other in ipairs(present) do
        if other ~= id and touch(all_paths(held[other]), { area[1] }) then there[#there + 1] = other end
      end
      if #there >= area[2] and say('area', { glob = area[1], limit = area[2], count = #there, ids = there }) then
        return found
      end
    end
  end
  return found
end

if A.mode == 'why' then
  local brief = get(briefs, A.id)
  return answer(true, 'why', { id = A.id, state = brief and brief.letter or 'D', general = general(),
    obstacles = brief and obstacles(A.id, brief, false) or {} })
end

local function seals(id)
  local brief, about = get(briefs, id), get(abouts, id)
  local found = { brief.seal }
  if about and brief.letter == 'I' and about.seal ~= brief.seal then found[2] = about.seal end
  return found
end

local skip = {}
for _, id in ipairs(A.skip or {}) do skip[id] = true end
if A.mode == 'claim' then
  seen(me)
  if own and skip[own] then
    redis.call('HDEL', claims, own) -- the caller could not use it
    held[own] = nil
    for _, list in ipairs({ working, present, mine }) do
      for n = #list, 1, -1 do if list[n] == own then table.remove(list, n) end end
    end
    count.I = #working
  elseif own then
    return answer(true, 'reserved', { id = own, claim = held[own], seals = seals(own) })
  end
  local given -- the first that was handed over
  for _, id in ipairs(mine) do
    local claim = held[id]
    local waits = claim.git_dir == '' and not claim.reserved and not skip[id] and (not A.asked or in_domain(id))
    if waits and (not given or claim.fence < held[given].fence) then given = id end
  end
  if given then return answer(true, 'handed-over', { id = given, claim = held[given], seals = seals(given) }) end
end
local full = general()
if A.mode == 'claim' and #full > 0 then return answer(false, 'limit', { general = full }) end

-- A list ends with as many as are wanted: with that, and new ones only while there is room, it is flat as well.
local ready, waiting, seen_so_far, untold = {}, {}, 0, 0
local from, last = '-', A.mode == 'claim' and '(3' or '(4'
local enough = false
while not enough do
  local page = redis.call('ZRANGEBYLEX', open, from, last, 'LIMIT', 0, 100)
  for _, place in ipairs(page) do
    enough = #ready >= A.most or (#waiting >= A.most and string.sub(place, 1, 1) == RANKS.N)
    if enough then break end
    seen_so_far = seen_so_far + 1
    local id = string.match(place, '%z([^%z]*)$')
    local brief = get(briefs, id)
    if not skip[id] and in_domain(id) and (A.mode == 'claim' or not held[id]) then
      local found = obstacles(id, brief, true)
      if #found > 0 then
        if #waiting < A.most then waiting[#waiting + 1] = { id, found[1] } else untold = untold + 1 end
      elseif A.mode == 'claim' then
        local claim = grant(id, { agent = me.agent, host = me.host, git_dir = me.git_dir, branch = me.branch,
          lease = A.reserve, suspect = 0 })
        claim.reserved = true
        put(claims, id, claim)
        return answer(true, 'reserved', { id = id, claim = claim, seals = seals(id) })
      else
        ready[#ready + 1] = { id, seals(id) }
      end
    end
  end
  if #page < 100 then break end
  from = '(' .. page[#page]
end
local more = redis.call('ZLEXCOUNT', open, '-', last) - seen_so_far + untold
if A.mode == 'claim' then return answer(false, 'none', { passed = waiting, more = more }) end
local claimed = {}
for _, id in ipairs(working) do
  if #claimed < A.most and in_domain(id) then
    local one = holder(id)
    one.code = 'claimed'
    claimed[#claimed + 1] = { id, one }
  end
end
return answer(true, 'listed', { ready = ready, waiting = waiting, claimed = claimed, more = more, general = full })
