-- KEYS: due, claims. ARGV: lease, session, token, ...
-- Makes the leases of claims longer and returns the numbers of those that were lost, from 1.
local ends = clock() + ARGV[1]
local lost = {}
for i = 2, #ARGV, 2 do
  local _, token = holder(KEYS[2], ARGV[i])
  if token == ARGV[i + 1] then
    schedule(KEYS[1], ARGV[i], ends)
  else
    lost[#lost + 1] = i / 2
  end
end
return lost
