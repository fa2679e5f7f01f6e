-- KEYS: values, keys, expiry, revision. ARGV: channel, key, revision (0: any).
-- Returns 1, or -1 when the key is at another revision.
local have, expired = read(KEYS[1], ARGV[2], clock())
if have > 0 and expired then
  remove(ARGV[2], ARGV[1])
  have = 0
end
if ARGV[3] ~= '0' and have ~= tonumber(ARGV[3]) then
  return -1
end
if have > 0 then
  remove(ARGV[2], ARGV[1])
end
return 1
