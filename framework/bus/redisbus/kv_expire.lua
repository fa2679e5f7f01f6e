-- KEYS: values, keys, expiry, revision. ARGV: channel.
-- Removes what has expired and returns how long until the next key does, or -1 when none will.
local now = clock()
expire(ARGV[1], now, 64)
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
if not first[2] then
  return -1
end
return math.max(0, first[2] - now)
