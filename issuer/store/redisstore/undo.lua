#!lua flags=allow-oom
-- Takes back what grant.lua granted: see store.Memory.Undo, which does the same.
local lease, callers, slots, budget = unpack(KEYS)
local ask, id, body = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]

local function integer(n) return string.format('%.0f', n) end

if redis.call('ZREM', slots, id .. ':' .. integer(ask.granted)) == 0 then return 0 end
local spent = redis.call('GET', budget)
if spent then
  redis.call('SET', budget, integer(math.max(tonumber(spent) - ask.cost, 0)), 'KEEPTTL')
end
if tonumber(redis.call('HGET', lease, 'version')) ~= ask.granted then return 1 end
if ask.undone < 0 then
  redis.call('DEL', lease)
  redis.call('ZREM', callers, id)
else
  redis.call('HSET', lease, 'version', integer(ask.undone), 'released', ask.released, 'body', body)
  redis.call('PEXPIRE', lease, integer(ask.keepLease))
end
return 1
