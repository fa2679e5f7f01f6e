-- KEYS: due, claims. ARGV: count, lease, token.
-- Claims mailboxes that are due, the longest waiting first. Returns how long until the next one is due (-1: there is
-- none), then the sessions.
local now = clock()
local result = {-1}
for _, session in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local handed = holder(KEYS[2], session) + 1
  schedule(KEYS[1], session, now + ARGV[2])
  hold(KEYS[2], session, handed, ARGV[3])
  result[#result + 1] = session
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[2] then
  result[1] = math.max(0, first[2] - now)
end
return result
