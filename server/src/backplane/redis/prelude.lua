-- What the scripts share. It stands before each of them, and only the short way of a commit before it; before all stands
-- what PUBLISH is: the command by which this kind of server publishes.

-- Time by this server's clock: the only clock that judges leases.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A whole number as text: Lua would write a large one with an exponent.
local function decimal(number)
  return string.format('%.0f', number)
end

-- Names this server's history of writes: another one after a restart or a promotion. '' if that may not be asked.
local function history()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and info:match('master_replid:(%x+)') or ''
end

-- Whether ARGV[1] and ARGV[2], epoch and nonce, are the ownership stored in KEYS[1].
local function owns()
  local stored = redis.call('HMGET', KEYS[1], '~epoch', '~nonce')
  return stored[1] == ARGV[1] and stored[2] == ARGV[2]
end

-- HSET or HDEL with list[first] to list[last]. `unpack` fails above some 8,000 values, hence 2,000 pairs at once.
local function in_chunks(command, list, first, last)
  for from = first, last, 4000 do
    redis.call(command, KEYS[1], unpack(list, from, math.min(from + 3999, last)))
  end
end

