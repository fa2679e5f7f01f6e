-- KEYS: inbox, letters, due, claims. ARGV: session, token, "1" to let others have their turn, channel.
-- Returns -1 when the claim was lost, 0 when the mailbox was given back, or 1, the oldest letter and its delivery.
local handed, token = holder(KEYS[4], ARGV[1])
if token ~= ARGV[2] then
  return {-1}
end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first then
  forget(KEYS[3], KEYS[4], ARGV[1])
  redis.call('DEL', KEYS[1], KEYS[2])
  return {0}
end
if ARGV[3] == '1' then
  local now = clock()
  if redis.call('ZCOUNT', KEYS[3], '-inf', now) > 0 then
    schedule(KEYS[3], ARGV[1], now)
    hold(KEYS[4], ARGV[1], handed - 1, '-')
    redis.call('PUBLISH', ARGV[4], '')
    return {0}
  end
end
return {1, handed, first[1], first[2]}
