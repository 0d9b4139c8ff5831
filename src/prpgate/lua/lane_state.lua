-- include: lane
-- What stands now. Like every script it reaps first, so a look at a lane moves on what is overdue.
-- ARGV: nothing of its own
-- Answers {state}.
reap()
return answer('state')
