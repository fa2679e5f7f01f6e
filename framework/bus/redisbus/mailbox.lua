-- due holds the sessions whose mailboxes hold letters, by when they may be handed out: at once, when the delay of a
-- release is over, or when the lease of a claim is. claims holds "<times handed out> <token>" of each that was handed
-- out since its last letter was done; the token is "-" while nobody holds it.
local function holder(claims, session)
  local v = redis.call('HGET', claims, session)
  if not v then
    return 0, '-'
  end
  local handed, token = string.match(v, '^(%d+) (.*)$')
  return tonumber(handed), token
end

local function hold(claims, session, handed, token)
  redis.call('HSET', claims, session, string.format('%d %s', handed, token))
end

-- The removal comes first because it is allowed when memory is full, and so is then what follows it.
local function schedule(due, session, at)
  redis.call('ZREM', due, session)
  redis.call('ZADD', due, at, session)
end

local function forget(due, claims, session)
  redis.call('ZREM', due, session)
  redis.call('HDEL', claims, session)
end
