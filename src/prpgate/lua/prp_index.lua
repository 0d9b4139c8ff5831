-- include: prp
-- Build the index of a store that has none (an older prpgate filled it), or anew.
-- ARGV: the cursor as seen, then pairs: id, JSON of what the index needs of the recorded entry. All that are recorded.
-- Answers {ok}; {ok: false, code: "changed"} when the record moved meanwhile.
if (redis.call('GET', cursor) or '') ~= ARGV[1] then return answer(false, 'changed') end
reap()
redis.call('DEL', open, briefs, abouts, names)
many()
for i = 2, #ARGV, 2 do about_recorded(ARGV[i], ARGV[i + 1]) end
for _, id in ipairs(redis.call('HKEYS', pending)) do touched[id] = true end
redis.call('HSET', meta, 'index', '1')
return answer(true, 'indexed')
