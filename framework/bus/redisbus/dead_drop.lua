-- KEYS: letters, index, ids. ARGV: component, session, turn, entry. Forgets a dead letter if it is that one.
local entry = redis.call('XRANGE', KEYS[1], ARGV[4], ARGV[4])[1]
if entry and value(entry[2], 'component') == ARGV[1] and value(entry[2], 'session') == ARGV[2]
  and value(entry[2], 'turn') == ARGV[3] then
  remove(ARGV[4], ARGV[1], ARGV[2], ARGV[3])
end
return 1
