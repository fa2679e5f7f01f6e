-- KEYS: values, expiry. ARGV: key, time to live.
-- Makes a key last that long from now on, at the revision that it has. Returns 1, or 0 when it isn't there.
local now = clock()
local revision, expired, value = read(KEYS[1], ARGV[1], now)
if revision == 0 or expired then
  return 0
end
local ends = 0
if tonumber(ARGV[2]) > 0 then
  ends = now + ARGV[2]
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %.0f ', revision, ends) .. value)
if ends > 0 then
  redis.call('ZADD', KEYS[2], ends, ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1
