-- include: lane
-- Anybody looked at the remote: attribute what came since the last look.
-- ARGV: look {tip, since, heads, foreign, moved}, refused {head, fence}: a push under that fence, whose hold was ended
--       meanwhile, is over, and its head is not in. Without that word it might still arrive while the tip is its base.
-- Answers done {attributed}: false when the look stands on an older `seen` than the lane's. Idempotent.
reap()
local attributed = attribute(A.look)
local one = A.refused and json(KEPT, A.refused.head) or {}
if A.refused and one.fence == A.refused.fence then never(A.refused.head, one) end -- else it was announced anew
return answer('done', { attributed = attributed })
