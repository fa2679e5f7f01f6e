-- KEYS: due. Returns how many mailboxes are due and for how long the first one is.
local now = clock()
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {redis.call('ZCOUNT', KEYS[1], '-inf', now), math.max(0, now - (first[2] or now))}
