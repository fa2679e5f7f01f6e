-- KEYS: values, keys, expiry, revision. ARGV: channel, key, revision, time to live, greatest value in a notice, value.
-- Returns the new revision, or -1 when the key is at another one.
local now = clock()
local have, expired = read(KEYS[1], ARGV[2], now)
if have > 0 and expired then
  have = 0
end
if have ~= tonumber(ARGV[3]) then
  return -1
end
local revision = advance() -- fails when memory is full, before anything has changed
if expired then
  remove(ARGV[2], ARGV[1], revision)
  revision = advance()
end
local ends = 0
if tonumber(ARGV[4]) > 0 then
  ends = now + ARGV[4]
  redis.call('ZADD', KEYS[3], ends, ARGV[2])
else
  redis.call('ZREM', KEYS[3], ARGV[2])
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %.0f ', revision, ends) .. ARGV[6])
redis.call('ZADD', KEYS[2], 0, ARGV[2])
local head = string.format('%.0f %s %s ', revision, ARGV[4], ARGV[2])
if #ARGV[6] <= tonumber(ARGV[5]) then
  redis.call('PUBLISH', ARGV[1], 'set ' .. head .. ARGV[6])
else
  redis.call('PUBLISH', ARGV[1], 'large ' .. head)
end
expire(ARGV[1], now, 16)
return revision
