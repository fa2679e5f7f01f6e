-- KEYS: inbox, letters, due, claims. ARGV: session, token, delay, channel, "1" when it was not handed out.
-- Gives a mailbox back with its letters. Returns -1 when the claim was lost, or 1.
local handed, token = holder(KEYS[4], ARGV[1])
if token ~= ARGV[2] then
  return -1
end
if redis.call('XLEN', KEYS[1]) == 0 then
  forget(KEYS[3], KEYS[4], ARGV[1])
  redis.call('DEL', KEYS[1], KEYS[2])
  return 1
end
schedule(KEYS[3], ARGV[1], clock() + ARGV[3])
hold(KEYS[4], ARGV[1], handed - ARGV[5], '-')
redis.call('PUBLISH', ARGV[4], '')
return 1
