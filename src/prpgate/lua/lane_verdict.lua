-- include: lane
-- A run ended. Green and red are written once, `unknown` may be replaced once. So many reds in a row close the lane,
-- under the name of the first; a fixer's green opens what red closed; what a person closed is left alone. After a
-- person has opened it, the red of what had landed before closes nothing. A commit of the branch whose tree was judged
-- under another counts as that did, once: a revert round the hooks makes a tree that is green already.
-- ARGV: head, key (tree:steps:class), result, fence (of a run that has the lane), in_branch (for a run without the
--       lane), later_green (a later tip is green: its red is old news), fixer, by, reason, run_url, close_after (reds in a row; 1 if not given), proven (ms; of an inherited green, when a run proved it)
-- Answers judged {written, stands, again: the lane waits for another run}.
reap()
local stands = json(VERDICTS, A.key)
local settled = final(stands.result)
local locked = state() == 'held' and S.phase == 'smoking' and current() and S.head == A.head
local known = json(REC, A.head)
local agent = known.agent

-- A head without a record could be counted again and again: only opening, which happens once, needs none.
local anew = settled and A.in_branch and A.result == stands.result and stands.head ~= A.head and not final(known.verdict)
  and (known.record ~= nil or A.fixer and A.result == 'green')
if not locked and (A.fence or settled and not anew or A.result == 'unknown' or S.head == A.head) then
  log('verdict', { fence = A.fence, agent = agent, sha = A.head, detail = 'late ' .. A.result })
  return answer('judged', { written = false, stands = stands.result })
end
log('verdict', { agent = agent, sha = A.head, detail = A.result })
if locked and A.result == 'unknown' and num('cap') > NOW then
  wait_for_ci()
  return answer('judged', { written = false, stands = stands.result, again = true })
end

-- The same tree may have been judged under another commit: then that verdict stands, and counts for this one too.
local news = not settled or anew or locked and stands.head ~= A.head
local result = settled and stands.result or A.result
if not settled then
  redis.call('HSET', VERDICTS, A.key, cjson.encode({ result = result, at = NOW, by = A.by, run_url = A.run_url,
    head = A.head, proven = A.proven }))
end
mark(A.head, { verdict = result, run_url = A.run_url, unproven = not final(result) })
local opened = false
local newer = not S.opened_at or (known.at or 0) >= num('opened_at')
if news and result == 'red' and newer and (locked or A.in_branch) and not A.later_green then
  put('reds', num('reds') + 1)
  put('red_head', S.red_head or A.head)
  if not S.closed and num('reds') >= (A.close_after or 1) then
    local many = num('reds') > 1 and S.reds .. ' landings in a row are red, the last: ' or ''
    close_lane('red', A.by, many .. A.reason, S.red_head)
  end
elseif news and result == 'green' and (locked or A.in_branch) then
  put('reds', nil)
  put('red_head', nil)
  opened = S.closed == 'red' and (A.fixer or known.fixer) or false
  if opened then open_lane(A.by, 'green') end
end
if locked then free('handover') elseif opened then settle() end
return answer('judged', { written = not settled, stands = result })
