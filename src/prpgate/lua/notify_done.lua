-- include: notify
-- What came of telling it.
-- ARGV: 1 id  2 the token it was taken with  3 "1": it was told  4 why not  5 ms until the next try  6 how often it may be
--   taken
-- Answers {outcome: told, again, dead; lost: it is not this taker's any more}.
local one = due(ARGV[1])
if not one or one.token ~= ARGV[2] then return cjson.encode({ outcome = 'lost' }) end
if ARGV[3] == '1' then
  one.error = nil
  finish(one, TOLD)
  return cjson.encode({ outcome = 'told' })
end
one.error = ARGV[4]
if one.tries >= tonumber(ARGV[6]) then
  finish(one, DEAD)
  return cjson.encode({ outcome = 'dead' })
end
one.token = nil
redis.call('HSET', DUE, one.id, cjson.encode(one))
redis.call('ZADD', WHEN, NOW + tonumber(ARGV[5]), one.id)
return cjson.encode({ outcome = 'again' })
