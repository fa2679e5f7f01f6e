-- KEYS: inbox, letters, due. ARGV: turn, session, channel, field, value, ...
-- Stores a letter unless one with its id waits already, and makes sure that the mailbox is handed out.
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
  redis.call('HSET', KEYS[2], ARGV[1], id)
end
if not redis.call('ZSCORE', KEYS[3], ARGV[2]) then
  redis.call('ZADD', KEYS[3], clock(), ARGV[2])
  redis.call('PUBLISH', ARGV[3], '')
end
return 1
