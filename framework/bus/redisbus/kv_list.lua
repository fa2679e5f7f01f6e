-- KEYS: values, keys, revision. ARGV: from, to, greatest number of bytes, greatest number of keys.
-- Returns the bucket's revision and the last key that was looked at ('': that was all), then keys, revisions, values.
local now = clock()
local result = {tonumber(redis.call('GET', KEYS[3]) or 0), ''}
local bytes = 0
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[4])
for i, key in ipairs(keys) do
  local revision, expired, value = read(KEYS[1], key, now)
  if revision > 0 and not expired then
    result[#result + 1] = key
    result[#result + 1] = revision
    result[#result + 1] = value
    bytes = bytes + #value
  end
  if bytes >= tonumber(ARGV[3]) or i == tonumber(ARGV[4]) then
    result[2] = key
    break
  end
end
return result
