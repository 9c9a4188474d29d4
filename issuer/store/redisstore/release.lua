#!lua flags=allow-oom
-- Ends a lease, and says 0 if there is none.
local released = redis.call('HGET', KEYS[1], 'released')
if not released then return 0 end
if released == '0' then
  redis.call('HSET', KEYS[1], 'released', 1)
  redis.call('HINCRBY', KEYS[1], 'version', 1)
end
return 1
