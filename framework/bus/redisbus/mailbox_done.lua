-- KEYS: inbox, letters, claims. ARGV: session, token, entry, turn.
-- Returns -1 when the claim was lost, 0 when an older letter waits, or 1.
local _, token = holder(KEYS[3], ARGV[1])
if token ~= ARGV[2] then
  return -1
end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[3] then
  return 1 - #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])
end
redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[4])
hold(KEYS[3], ARGV[1], 1, token)
return 1
