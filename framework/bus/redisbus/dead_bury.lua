-- KEYS: letters, index, ids. ARGV: component, session, turn, age, field, value, ...
-- Keeps a dead letter unless it is kept already, and forgets a few that are too old.
local id = ARGV[1] .. '/' .. ARGV[2] .. '/' .. ARGV[3]
local oldest = string.format('%.0f-0', (clock() - ARGV[4]) / 1000)
local kept = redis.call('HGET', KEYS[3], id)
if kept and tonumber(string.match(kept, '^%d+')) >= tonumber(string.match(oldest, '^%d+')) then
  return 1
end
local entry = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
redis.call('HSET', KEYS[3], id, entry)
redis.call('ZADD', KEYS[2], 0, sorted(ARGV[1], entry))
for _, old in ipairs(redis.call('XRANGE', KEYS[1], '-', '(' .. oldest, 'COUNT', 16)) do
  remove(old[1], value(old[2], 'component'), value(old[2], 'session'), value(old[2], 'turn'))
end
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', ARGV[4] / 1000))
end
return 1
