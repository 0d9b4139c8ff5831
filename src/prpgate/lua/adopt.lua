-- Make this server the store of a project: write the project's store id, unless another one stands there.
-- KEYS: 1 meta (hash: store_id, epoch, created)
-- ARGV: 1 store_id   2 "1" to replace another id, "0" to refuse
-- Answers {before: the id that stood there or "", adopted: bool, epoch: number, created: server seconds}.
-- Idempotent: the same id again changes nothing. The epoch grows with each change of the id, and across a wipe too,
-- because it is never less than the server's seconds.
local meta, id, replace = KEYS[1], ARGV[1], ARGV[2] == '1'
local before = redis.call('HGET', meta, 'store_id') or ''
local epoch = tonumber(redis.call('HGET', meta, 'epoch') or '0')
local created = redis.call('HGET', meta, 'created') or '0'
local adopted = before == id
if not adopted and (before == '' or replace) then
  local now = redis.call('TIME')[1]
  epoch = math.max(epoch + 1, tonumber(now))
  created = now
  redis.call('HSET', meta, 'store_id', id, 'epoch', string.format('%d', epoch), 'created', created)
  adopted = true
end
return cjson.encode({ before = before, adopted = adopted, epoch = epoch, created = tonumber(created) })
