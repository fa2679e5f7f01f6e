-- KEYS: values. ARGV: key. Returns the revision and the value, or nothing.
local revision, expired, value = read(KEYS[1], ARGV[1], clock())
if revision == 0 or expired then
  return {}
end
return {revision, value}
