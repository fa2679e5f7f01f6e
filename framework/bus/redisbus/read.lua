-- Returns the first entries that a reader has not seen, in one step with finding where they begin. Nothing is changed.
--
-- KEYS[1]  the log
-- KEYS[2]  its head; see the script of an append
-- ARGV[1]  attempt of the reader's place; 0: the beginning
-- ARGV[2]  the second part of an id at that place
-- ARGV[3]  id of the last entry to read
-- ARGV[4]  how its frame begins, which says its id and its writer
-- ARGV[5]  how long entries are kept, in milliseconds
-- ARGV[6]  how many to return
--
-- Returns entries, as XRANGE does; none when the last one is not there any more.
local log, head, last, begin = KEYS[1], KEYS[2], ARGV[3], ARGV[4]

local function isFrame(entry) return entry and entry[2][1] == 'frame' end

-- Whether one id is before another. The second parts are too large for Lua's numbers.
local function before(a, b)
  local major, minor = string.match(a, '^(%d+)-(%d+)$')
  local otherMajor, otherMinor = string.match(b, '^(%d+)-(%d+)$')
  if major ~= otherMajor then return tonumber(major) < tonumber(otherMajor) end
  if #minor ~= #otherMinor then return #minor < #otherMinor end
  return minor < otherMinor
end

-- The id of the frame that holds a place or ends before it, or nil.
local function at(place)
  local entry = redis.call('XREVRANGE', log, place, '-', 'COUNT', 1)[1]
  while entry and not isFrame(entry) do
    entry = redis.call('XREVRANGE', log, '(' .. entry[1], '-', 'COUNT', 1)[1]
  end
  return entry and entry[1]
end

-- Where the reader has to begin. An attempt that begins behind its index leaves visible what earlier attempts wrote before
-- it, so the reader may need that, too.
local function seek()
  local attempt = tonumber(ARGV[1])
  while attempt > 0 do
    local id = at(string.format('%.0f-%s', attempt, ARGV[2]))
    if not id then break end
    local found = tonumber(string.match(id, '^%d+'))
    if found >= attempt then return id end
    attempt = found
  end
  return nil
end

-- The oldest entry that is not too old, as far as the marks say; those before it go with the next append.
local function floor()
  local oldest
  local now = math.floor(clock() / 1000)
  for at, id in string.gmatch(redis.call('HGET', head, 'marks') or '', '(%d+) (%S+)') do
    if tonumber(at) <= now - ARGV[5] then oldest = id end
  end
  return oldest
end

-- Another entry of the same id is of a log that began anew.
if redis.call('HGET', head, 'last:' .. ARGV[5]) ~= begin then
  local entry = redis.call('XRANGE', log, last, last)[1]
  if not isFrame(entry) or string.sub(entry[2][2], 1, #begin) ~= begin then return {} end
end

local from, oldest = seek(), floor()
if oldest and (not from or before(from, oldest)) then from = oldest end

return redis.call('XRANGE', log, from or '-', last, 'COUNT', ARGV[6])
