-- letters is the stream of dead letters; index holds "<component>/<entry>", which is their order within a component;
-- ids holds the entry of "<component>/<session>/<turn>".
local function sorted(component, entry)
  local major, minor = string.match(entry, '^(%d+)-(%d+)$')
  return string.format('%s/%015.0f-%010.0f', component, tonumber(major), tonumber(minor))
end

local function value(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then
      return fields[i + 1]
    end
  end
  return ''
end

-- fields returns those of a dead letter, or nil where the entry isn't that one.
local function fields(entry, component, session, turn)
  local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  if found and value(found[2], 'component') == component and value(found[2], 'session') == session
    and value(found[2], 'turn') == turn then
    return found[2]
  end
end

local function remove(entry, component, session, turn)
  redis.call('XDEL', KEYS[1], entry)
  redis.call('ZREM', KEYS[2], sorted(component, entry))
  local id = component .. '/' .. session .. '/' .. turn
  if redis.call('HGET', KEYS[3], id) == entry then
    redis.call('HDEL', KEYS[3], id)
  end
end
