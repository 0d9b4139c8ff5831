-- Who asks the host's API about a lane: one at a time, the others wait for what comes of it. A lease, not a lock: two
-- who ask at once cost a request, no more.
-- KEYS: 1 lane:<name>:observer  ARGV: 1 who (one text for each process)  2 ms; 0 gives it up
-- Answers {mine, who: whoever has it now}.
local has = redis.call('GET', KEYS[1])
if ARGV[2] == '0' then
  if has == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return cjson.encode({ mine = false })
end
local mine = not has or has == ARGV[1]
if mine then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return cjson.encode({ mine = mine, who = mine and ARGV[1] or has })
