#!lua
-- Decides about a token as store.Ask has it: all of it is charged, or nothing.
-- Times and durations are whole microseconds, which doubles hold exactly until the
-- year 2255; those that name a lifetime of keys are milliseconds.
local revoked, lease, callers, handle, shown, slots, budget = unpack(KEYS, 1, 7)
local ask, caller, id, body, server = cjson.decode(ARGV[1]), unpack(ARGV, 2, 5)

-- tostring and .. would write 1.7e+15.
local function integer(n) return string.format('%.0f', n) end

local function keep(key, lifetime)
  if redis.call('PTTL', key) < lifetime then redis.call('PEXPIRE', key, integer(lifetime)) end
end

for _, who in ipairs({caller, server}) do
  if redis.call('SISMEMBER', revoked, who) == 1 then return {'revoked'} end
end

local version = redis.call('HGET', lease, 'version')
if ask.was < 0 then
  if version then return {'conflict'} end
else
  if not version then return {'not found'} end
  if tonumber(version) ~= ask.was then return {'conflict'} end
end
if ask.handle then
  local holder = redis.call('GET', handle)
  if holder and holder ~= id then return {'handle'} end
end

-- Rates are counted by the clock that all replicas share; see limit.Rate.Take.
local time = redis.call('TIME')
local here = time[1] * 1000000 + time[2]
local clock = ask.clock > 0 and ask.clock or here
local tats, left = {}, {}
for n, rate in ipairs(ask.rates) do
  local tat = tonumber(redis.call('GET', KEYS[7 + n]) or 0)
  local ahead = math.max(tat - clock, 0)
  if ahead > rate.window + ask.turnedBack then ahead = 0 end
  local over = ahead + (1 + rate.spare) * rate.interval - rate.window
  if over > 0 then return {'limited', 0, n - 1, over} end
  ahead = ahead + rate.interval
  tats[n] = clock + ahead
  table.insert(left, math.floor((rate.window - ahead) / rate.interval))
  table.insert(left, ahead)
end

local free = ask.slots - redis.call('ZCOUNT', slots, '(' .. integer(ask.now), '+inf')
if free <= 0 then -- until so few are left that one more may be
  local frees = redis.call('ZRANGE', slots, -ask.slots, -ask.slots, 'WITHSCORES')
  return {'limited', 1, 0, tonumber(frees[2]) - ask.now}
end

local spent = tonumber(redis.call('GET', budget) or 0)
if ask.cost > ask.budget - spent then return {'limited', 2, 0, ask.ends - ask.now} end
spent = spent + ask.cost

redis.call('HSET', lease, 'version', integer(ask.version), 'released', ask.released, 'body', body)
redis.call('PEXPIRE', lease, integer(ask.keepLease))
redis.call('ZREMRANGEBYSCORE', callers, '-inf', integer(here)) -- with the leases
redis.call('ZADD', callers, integer(here + ask.keepLease * 1000), id)
keep(callers, ask.keepLease)
if ask.handle then
  redis.call('SET', handle, id, 'PX', integer(ask.keepHandle))
  redis.call('ZADD', shown, integer(ask.version), handle)
  keep(shown, ask.keepHandle)
  if redis.call('ZCARD', shown) > ask.maxHandles then
    redis.call('DEL', redis.call('ZPOPMIN', shown)[1]) -- a key beside the others
  end
end
for n, rate in ipairs(ask.rates) do
  redis.call('SET', KEYS[7 + n], integer(tats[n]), 'PX', integer(math.ceil(rate.window / 1000) + 60000))
end
redis.call('ZREMRANGEBYSCORE', slots, '-inf', integer(ask.now))
redis.call('ZADD', slots, integer(ask.expire), id .. ':' .. integer(ask.version))
keep(slots, ask.keepSlot)
redis.call('SET', budget, integer(spent), 'PX', integer(ask.keepBudget))
return {'granted', free - 1, ask.budget - spent, unpack(left)}
