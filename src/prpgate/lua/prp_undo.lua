-- include: prp
-- Take a milestone back whose line could not be written. Only while it is the chain's last and its claim stands.
-- ARGV: 1 id   2 the line's seal   3 the claim's fence after the milestone, "" for none
--   4 JSON of the claim before it, "" for none   5 the chain that the milestone replaced, as it was answered, "" for none
local id, seal, fence, before = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local chain, claim = get(pending, id) or {}, get(claims, id)
if #chain == 0 or chain[#chain].seal ~= seal then return answer(false, 'changed') end
if (claim and tostring(claim.fence) or '') ~= fence then return answer(false, 'changed') end
local marker = get(completing, id)
if marker and marker.seal == seal then redis.call('HDEL', completing, id) end
table.remove(chain)
put_chain(id, #chain == 0 and ARGV[5] ~= '' and cjson.decode(ARGV[5]) or chain)
for _, cause in ipairs({ 'handed-over', 'taken-over', 'taken-back' }) do -- and nothing was
  local told = record(cause .. ':' .. id .. ':' .. fence)
  if told then
    redis.call('XDEL', MAIL .. 'to:' .. told.to, told.entry)
    forget(told.id)
  end
end
if before ~= '' then redis.call('HSET', claims, id, before) else redis.call('HDEL', claims, id) end
event('undone', id, claim and claim.agent, fence, seal .. ' could not be written')
return answer(true, 'undone')
