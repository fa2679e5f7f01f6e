-- Stores a frame as the entry behind the one that the caller knows as the last, and publishes it.
--
-- KEYS[1]  the log
-- KEYS[2]  its head: a hash of how the last frame begins, of when that was stored, and of marks
-- ARGV[1]  id of the new entry
-- ARGV[2]  how the frame before begins, which says its id and its writer; '' when the log is empty
-- ARGV[3]  how the new one begins
-- ARGV[4]  how long entries are kept, in milliseconds
-- ARGV[5]  channel of live frames
-- ARGV[6]  the frame
--
-- Returns 'ok'; 'conflict' when another entry is the last; 'blocked' when the new one would not be behind it, or not
-- behind one that isn't ours.
local log, head, before = KEYS[1], KEYS[2], ARGV[2]

-- The last frame in the log, or '': what counts when the head doesn't say what the caller knows.
local function last()
  local from = '+'
  while true do
    local entry = redis.call('XREVRANGE', log, from, '-', 'COUNT', 1)[1]
    if not entry then return '' end
    if entry[2][1] == 'frame' then return entry[2][2] end
    from = '(' .. entry[1]
  end
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Keeps the log and its head, and drops what is too old from the front. A mark is a time and the id of an entry; none
-- before that entry was stored later. Marks of a log that is new are of one that is gone. stored is what the head says of
-- when the entry before the new one was stored, which is the time of the new mark; where it speaks of another entry, the
-- mark has the present time, which is later than it need be.
local function refresh(new, stored)
  local age = tonumber(ARGV[4])
  local keep = age + math.ceil(age / 16)
  local at, of = string.match(stored or '', '^(%d+) (.*)$')
  if of ~= before then at = string.format('%.0f', now) end

  local kept = new and '' or redis.call('HGET', head, 'marks') or ''
  local marks, oldest = {}, nil
  for at, id in string.gmatch(kept .. ' ' .. at .. ' ' .. ARGV[1], '(%d+) (%S+)') do
    if tonumber(at) <= now - age then oldest = id else marks[#marks + 1] = at .. ' ' .. id end
  end
  if oldest then redis.call('XTRIM', log, 'MINID', oldest) end
  redis.call('HSET', head, 'marks', table.concat(marks, ' '))

  -- The head first: it must not outlive the log.
  redis.call('PEXPIRE', head, keep)
  redis.call('PEXPIRE', log, keep)
end

if before == '' or redis.call('HGET', head, 'last') ~= before then
  local frame = last()
  if string.sub(frame, 1, #before) ~= before or before == '' and frame ~= '' then return 'conflict' end
end

local added
if before == '' then
  added = redis.pcall('XADD', log, ARGV[1], 'frame', ARGV[6])
else
  added = redis.pcall('XADD', log, 'NOMKSTREAM', ARGV[1], 'frame', ARGV[6])
end
if not added then return 'conflict' end -- the log is gone and its head is not
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return 'blocked' end
  return added
end
local left = redis.call('PTTL', log)
local stored = left < tonumber(ARGV[4]) and redis.call('HGET', head, 'at')
local lost = redis.call('HSET', head, 'last', ARGV[3], 'at', string.format('%.0f ', now) .. ARGV[3]) > 0
if lost or left < tonumber(ARGV[4]) then refresh(left < 0, stored) end
redis.call('PUBLISH', ARGV[5], ARGV[6])

return 'ok'
