-- include: lane
-- Anybody looked at the remote: attribute what came since the last look.
-- ARGV: look {tip, since, heads, foreign, moved}
-- Answers done {attributed}: false when the look stands on an older `seen` than the lane's.
reap()
return answer('done', { attributed = attribute(A.look) })
