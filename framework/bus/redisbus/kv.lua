-- values holds "<revision> <expiry> <value>" by key, keys the keys in order, expiry when those that expire do.
local function read(values, key, now)
  local v = redis.call('HGET', values, key)
  if not v then
    return 0, false, ''
  end
  local revision, expiry, at = string.match(v, '^(%d+) (%d+) ()')
  revision, expiry = tonumber(revision), tonumber(expiry)
  return revision, expiry > 0 and expiry <= now, string.sub(v, at)
end

-- The next revision of the bucket. Where the last one was lost, with everything else, the next is the time: far behind all
-- that were given out, so that none means two values.
local function advance()
  local revision = redis.call('INCR', KEYS[4])
  if revision > 1 then
    return revision
  end
  revision = clock()
  redis.call('SET', KEYS[4], string.format('%.0f', revision))
  return revision
end

local function remove(key, channel, revision)
  redis.call('HDEL', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
  redis.call('ZREM', KEYS[3], key)
  revision = revision or advance()
  redis.call('PUBLISH', channel, string.format('gone %.0f 0 %s ', revision, key))
end

-- The removal comes before the new revision because it is allowed when memory is full, and so is then what follows it.
local function expire(channel, now, count)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, count)) do
    remove(key, channel)
  end
end
