-- KEYS: letters. ARGV: component, session, turn, entry, age. Returns a dead letter's fields; none when the entry isn't that
-- one, or is too old.
local oldest = string.format('%.0f-0', (clock() - ARGV[5]) / 1000)
if sorted('', ARGV[4]) <= sorted('', oldest) then
  return {}
end
return fields(ARGV[4], ARGV[1], ARGV[2], ARGV[3]) or {}
