-- include: lane
-- A run ended. Green and red are written once, `unknown` may be replaced once. Red closes the lane, a fixer's green
-- opens what red closed; what a person closed is left alone.
-- ARGV: head, key (tree:steps:class), result, fence (of a run that has the lane), in_branch, later_green (for a run
--       without the lane), fixer, by, reason, run_url
-- Answers judged {written, stands, again: the lane waits for another run}.
reap()
local stands = json(VERDICTS, A.key)
local settled = final(stands.result)
local locked = state() == 'held' and S.phase == 'smoking' and current() and S.head == A.head
local agent = json(REC, A.head).agent

if not locked and (A.fence or settled or A.result == 'unknown' or S.head == A.head) then
  log('verdict', { fence = A.fence, agent = agent, sha = A.head, detail = 'late ' .. A.result })
  return answer('judged', { written = false, stands = stands.result })
end
log('verdict', { agent = agent, sha = A.head, detail = A.result })
if locked and A.result == 'unknown' and num('cap') > NOW then
  wait_for_ci()
  return answer('judged', { written = false, stands = stands.result, again = true })
end

-- The same tree may have been judged under another commit: then that verdict stands, and counts for this one too.
local news = not settled or locked and stands.head ~= A.head
local result = settled and stands.result or A.result
if not settled then
  redis.call('HSET', VERDICTS, A.key, cjson.encode({ result = result, at = NOW, by = A.by, run_url = A.run_url,
    head = A.head }))
end
mark(A.head, { verdict = result, run_url = A.run_url, unproven = not final(result) })
local opened = false
if news and result == 'red' and not S.closed and (locked or A.in_branch and not A.later_green) then
  close_lane('red', A.by, A.reason, A.head)
elseif news and result == 'green' and S.closed == 'red' and (locked or A.in_branch) then
  opened = A.fixer or json(REC, A.head).fixer or false
  if opened then open_lane(A.by, 'green') end
end
if locked then free('handover') elseif opened then settle() end
return answer('judged', { written = not settled, stands = result })
