-- A store was filled from git and agrees with it: from now on it is the project's store.
-- KEYS: 1 meta (hash: store_id, epoch, created)   2 quiet   3 events
-- ARGV: 1 store_id   2 ms in which no lane is granted: holds that the server forgot may still be pushing
--   3 agent   4 what was done, for the stream
-- Answers {ok: bool, before: the id that stood there or "", epoch: number}. Another id is never replaced. Id and quiet
-- time come in one step: between them somebody could be granted a lane. The epoch grows with each call, and across a
-- wipe too, because it is never less than the server's seconds.
local meta, id = KEYS[1], ARGV[1]
local before = redis.call('HGET', meta, 'store_id') or ''
local epoch = tonumber(redis.call('HGET', meta, 'epoch') or '0')
if before ~= '' and before ~= id then return cjson.encode({ ok = false, before = before, epoch = epoch }) end
local now = redis.call('TIME')[1]
epoch = math.max(epoch + 1, tonumber(now))
redis.call('HSET', meta, 'store_id', id, 'epoch', string.format('%d', epoch))
redis.call('HSETNX', meta, 'created', now)
redis.call('SET', KEYS[2], 'rebuilt', 'PX', ARGV[2])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'event', 'rebuilt', 'prp', '', 'agent', ARGV[3], 'fence', '',
  'detail', ARGV[4])
return cjson.encode({ ok = true, before = before, epoch = epoch })
