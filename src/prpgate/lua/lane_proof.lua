-- include: lane
-- Gate ci-first: what became of the candidate of the hold. Green and red are written once, as ever; red closes nothing,
-- because nothing has landed. Of a candidate that nobody waits for any more (another fence, another head) it says nothing.
-- ARGV: fence, head, key (tree:steps:class), result, by, reason, run_url, proven (as of lane_verdict)
-- Answers judged {written, stands}. Idempotent: the first word on a candidate stands.
reap()
local agent = holder().agent
local stands = json(VERDICTS, A.key).result
if not its_candidate() or S.proof then
  if not its_candidate() then
    log('verdict', { fence = A.fence, sha = A.head, detail = 'late ' .. A.result })
  elseif S.run_url ~= A.run_url then -- else its first reply was lost
    log('verdict', { agent = agent, sha = A.head, detail = 'late ' .. A.result })
  end
  return answer('judged', { written = false, stands = stands })
end
local result, written = A.result, false
if A.key ~= S.key then -- other steps than the lander knows: proves nothing to it
  result = 'unknown'
elseif final(stands) then
  result = stands
elseif final(A.result) then
  redis.call('HSET', VERDICTS, A.key, cjson.encode({ result = result, at = NOW, by = A.by, run_url = A.run_url,
    head = A.head, proven = A.proven }))
  written = true
end
put('proof', result)
put('proof_reason', A.key == S.key and A.reason or 'CI ran other steps than are known here (another version of prpgate?)')
if A.run_url then put('run_url', A.run_url) end
log('verdict', { agent = agent, sha = A.head, detail = 'candidate ' .. result })
wake(S.ticket, 'verdict')
return answer('judged', { written = written, stands = result ~= 'unknown' and result or stands })
