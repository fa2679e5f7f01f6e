-- Stores a frame as the entry behind the one that the caller knows as the last, and publishes it.
--
-- KEYS[1]  the log
-- ARGV[1]  id of the new entry
-- ARGV[2]  id of the entry before, or '' when the log is empty
-- ARGV[3]  writer of the entry before
-- ARGV[4]  how long entries are kept, in milliseconds
-- ARGV[5]  channel of live frames
-- ARGV[6]  writer of the new entry
-- ARGV[7…] further fields and their values
--
-- Returns 'ok'; 'conflict' when another entry is the last; 'blocked' when the new one would not be behind it, or not
-- behind one that isn't ours.
local log, id, age = KEYS[1], ARGV[1], tonumber(ARGV[4])

-- The writer is compared, too: a log that expired and began again may have reached the same id.
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
while last and last[2][1] ~= 'v' do
  last = redis.call('XREVRANGE', log, '(' .. last[1], '-', 'COUNT', 1)[1]
end
if last then
  if last[1] ~= ARGV[2] or last[2][4] ~= ARGV[3] then return 'conflict' end
elseif ARGV[2] ~= '' then
  return 'conflict'
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local added = redis.pcall('XADD', log, id, 'v', '1', 'writer', ARGV[6], 'at', string.format('%.0f', now),
  unpack(ARGV, 7))
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return 'blocked' end
  return added
end
redis.call('PEXPIRE', log, age)

-- A log that is written for longer than its entries are kept loses them at its front, now and then and a few at a time.
if redis.call('XLEN', log) % 16 == 0 then
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  local function old(entry)
    return entry[2][1] ~= 'v' or tonumber(entry[2][6]) < now - age
  end
  if old(oldest) then
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 64)) do
      if not old(entry) then break end
      oldest = entry
    end
    redis.call('XTRIM', log, 'MINID', oldest[1])
  end
end

-- The live frame is its id and its fields, each with its length before it.
local live = { #id .. ':' .. id, #'v' .. ':v', '1:1', '6:writer', #ARGV[6] .. ':' .. ARGV[6] }
for i = 7, #ARGV do
  live[#live + 1] = #ARGV[i] .. ':'
  live[#live + 1] = ARGV[i] -- an element of its own: a large body is copied once less
end
redis.call('PUBLISH', ARGV[5], table.concat(live))

return 'ok'
