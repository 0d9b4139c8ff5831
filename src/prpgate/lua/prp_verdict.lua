-- include: prp
-- Record what a smoke gate said of a tree. Class ci: green and red are written once, unknown may be replaced by them.
-- Class local: the newest attempt stands (an environment may be mended). A verdict that no run stands behind (`proven`)
-- replaces no green or red. Then complete lines that wait for a green
-- landing, and are in a landing of that tree, are proven.
-- ARGV: 1 tree  2 steps  3 class  4 result  5 agent  6 sha  7 run url ("" for none)
--       8 proven: when the run ended that it was taken from (ms), "" for a run of its own
-- Answers {ok, code: written | stands, result: what stands now, proven: [ids]}.
local tree, class, result, agent = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local field = tree .. ':' .. ARGV[2] .. ':' .. class
reap()
local before = get(verdicts, field)
local final = before and before.result ~= 'unknown'
local stands = before and (class == 'ci' and (final or result == 'unknown') or ARGV[8] ~= '' and final)
local verdict = before
if not stands then
  verdict = { result = result, at = now, by = agent, head = ARGV[6], run_url = ARGV[7],
    proven = tonumber(ARGV[8]) }
  put(verdicts, field, verdict)
end
local detail = cjson.encode({ tree = tree, steps = ARGV[2], class = class, result = result, sha = ARGV[6],
  run_url = ARGV[7], stands = verdict.result })
event('verdict', '', agent, '', detail)

local proven, waiting = {}, redis.call('HGETALL', unproven)
local gate = redis.call('HGET', meta, 'gate')
local counts = class == 'ci' or gate ~= 'ci' and gate ~= 'ci-first'
if #waiting > 0 and counts and verdict.result ~= 'unknown' then
  local newest = 0
  local all = redis.call('ZRANGE', landings, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if string.sub(all[i], -#tree - 1) == ' ' .. tree then newest = math.max(newest, tonumber(all[i + 1])) end
  end
  for i = 1, #waiting, 2 do
    local one = cjson.decode(waiting[i + 1])
    if newest >= one.since and verdict.result == 'red' then
      event('landed-red', waiting[i], agent, '', one.seal)
    elseif newest >= one.since and one.code then
      wait(waiting[i], nil)
      proven[#proven + 1] = waiting[i]
      event('complete', waiting[i], agent, '', one.seal .. ' is green in the lane')
    end
  end
end
return answer(true, stands and 'stands' or 'written', { result = verdict.result, proven = proven })
