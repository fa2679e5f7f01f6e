-- Stores a frame as the entry behind the one that the caller knows as the last, and publishes it.
--
-- KEYS[1]  the log
-- KEYS[2]  its head: a hash of how the last frame begins, with how long the log was to be kept then, and of marks
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

-- What the head says where that is of the entry that the caller knows as the last.
local said = before ~= '' and redis.call('HGET', head, 'last')

-- Keeps the log and its head, and drops what is too old from the front. A mark is a time and the id of an entry; none
-- before that entry was stored later: it has the time of the entry before, or the present one where that is not known.
-- left is how long the log would be kept else; where it is new, marks are of one that is gone. Returns for how long the log
-- is kept now.
local function refresh(left)
  local age = tonumber(ARGV[4])
  local keep = age + math.ceil(age / 16)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local passed = said and left > 0 and (tonumber(string.sub(said, #before + 2)) or left) - left or 0

  local marks, oldest = {}, nil
  local kept = left > 0 and redis.call('HGET', head, 'marks') or ''
  for at, id in string.gmatch(string.format('%s %.0f %s', kept, now - math.max(0, passed), ARGV[1]), '(%d+) (%S+)') do
    if tonumber(at) <= now - age then oldest = id else marks[#marks + 1] = at .. ' ' .. id end
  end
  if oldest then redis.call('XTRIM', log, 'MINID', oldest) end
  redis.call('HSET', head, 'marks', table.concat(marks, ' '))

  -- The head first: it must not outlive the log.
  redis.call('PEXPIRE', head, keep)
  redis.call('PEXPIRE', log, keep)
  return keep
end

if not said or string.find(said, before, 1, true) ~= 1 then
  local frame = last()
  if string.sub(frame, 1, #before) ~= before or before == '' and frame ~= '' then return 'conflict' end
  said = nil
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
if not said or left < tonumber(ARGV[4]) then left = refresh(left) end
redis.call('HSET', head, 'last', ARGV[3] .. ' ' .. left)
redis.call('PUBLISH', ARGV[5], ARGV[6])

return 'ok'
