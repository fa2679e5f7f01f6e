-- KEYS: letters, index, ids. ARGV: component, session, turn, entry. Forgets a dead letter if it is that one.
if fields(ARGV[4], ARGV[1], ARGV[2], ARGV[3]) then
  remove(ARGV[4], ARGV[1], ARGV[2], ARGV[3])
end
return 1
