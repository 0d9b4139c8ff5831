-- include: notify
-- Take the first thing that is due, to tell it. It is due again after a while, unless its taker says by then what came
-- of it: who dies in between loses nothing. Lost reply: the same.
-- ARGV: 1 who takes it, an agent  2 a token of this one try  3 for how long it is this taker's (ms)
--   4 how often it may be taken
-- Answers {one: what to tell, or nil; next_ms: until the first may be taken (nil: nothing is due)}.
while true do
  local first = redis.call('ZRANGE', WHEN, 0, 0, 'WITHSCORES')
  if not first[1] then return cjson.encode({}) end
  if tonumber(first[2]) > NOW then return cjson.encode({ next_ms = tonumber(first[2]) - NOW }) end
  local one = due(first[1])
  if not one then
    redis.call('ZREM', WHEN, first[1])
  elseif one.tries >= tonumber(ARGV[4]) then
    one.error = one.error or 'whoever took it never said what came of it'
    finish(one, DEAD)
  else
    one.tries, one.token, one.by = one.tries + 1, ARGV[2], ARGV[1]
    redis.call('HSET', DUE, one.id, cjson.encode(one))
    redis.call('ZADD', WHEN, NOW + tonumber(ARGV[3]), one.id)
    return cjson.encode({ one = one })
  end
end
