-- Stores a frame as the entry behind the one that the caller knows as the last, and publishes it.
--
-- KEYS[1]  the log
-- KEYS[2]  its head: a hash of how the last frame begins, in a field of those who keep entries for as long, and of marks
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

-- Whether the head says that the entry before is the last; and so that whoever stored it had this age, too.
local field = 'last:' .. ARGV[4]
local said = before ~= '' and redis.call('HGET', head, field) == before

-- Keeps the log and its head, and drops what is too old from the front. A mark is a time and the id of an entry; none
-- before that entry was stored later. left is how long the log would be kept else; where it is new, marks are of one that
-- is gone.
local function refresh(left)
  local age = tonumber(ARGV[4])
  local keep = age + math.ceil(age / 16)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  -- Whoever stored the entry before found, or left, at least the age.
  local passed = said and left > 0 and age - left or 0

  local marks, oldest = {}, nil
  local kept = left > 0 and redis.call('HGET', head, 'marks') or ''
  for at, id in string.gmatch(string.format('%s %.0f %s', kept, now - passed, ARGV[1]), '(%d+) (%S+)') do
    if tonumber(at) <= now - age then oldest = id else marks[#marks + 1] = at .. ' ' .. id end
  end
  if oldest then redis.call('XTRIM', log, 'MINID', oldest) end
  -- Where those who take turns disagree about the age, each append comes here; fewer marks say less and nothing wrong.
  if #marks > 64 then table.remove(marks, #marks - 1) end
  redis.call('HSET', head, 'marks', table.concat(marks, ' '))

  -- The head first: it must not outlive the log.
  redis.call('PEXPIRE', head, keep)
  redis.call('PEXPIRE', log, keep)
end

if not said then
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
if not said or left < tonumber(ARGV[4]) then refresh(left) end
redis.call('HSET', head, field, ARGV[3])
redis.call('PUBLISH', ARGV[5], ARGV[6])

return 'ok'
