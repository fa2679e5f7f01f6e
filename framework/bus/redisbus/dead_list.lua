-- KEYS: letters, index. ARGV: component ('': all), the entry before ('': none), age, greatest number of bytes.
-- Returns entries in the order they were stored, those that are too old left out; none when there are no more.
local after = string.format('%.0f-0', (clock() - ARGV[3]) / 1000)
if ARGV[2] ~= '' and sorted('', ARGV[2]) >= sorted('', after) then
  after = ARGV[2]
end
local result, bytes = {}, 0
while bytes < tonumber(ARGV[4]) do
  local entry
  if ARGV[1] == '' then
    entry = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', 1)[1]
  else
    local member = redis.call('ZRANGEBYLEX', KEYS[2], '(' .. sorted(ARGV[1], after), '[' .. ARGV[1] .. '0', 'LIMIT', 0, 1)[1]
    if member then
      local major, minor = string.match(member, '/(%d+)-(%d+)$')
      local at = string.format('%.0f-%.0f', tonumber(major), tonumber(minor))
      entry = redis.call('XRANGE', KEYS[1], at, at)[1] or {at, {}}
    end
  end
  if not entry then
    break
  end
  after = entry[1]
  result[#result + 1] = entry
  bytes = bytes + 256
  for _, field in ipairs(entry[2]) do
    bytes = bytes + #field
  end
end
return result
