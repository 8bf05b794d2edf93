-- The short way of a commit: a plain tick, the next one of the stored ownership. It stands before the prelude, so that it
-- builds none of its functions, and it writes with one HSET. Every other tick goes on in commit.lua. KEYS: hash.
-- ARGV: epoch, nonce, tick, the tick before it, shortest and longest lease in ms, channel, what it is ('plain'; 'full': it
-- has names to delete or very many values; 'again': a try of it got no answer; 'whole': its values are the whole state),
-- ring field, message, more fields as name and value; then, if it is not plain, the names to delete and their number.
local call, key = redis.call, KEYS[1]
local stored = call('HMGET', key, '~epoch', '~nonce', '~tick', '~lease_ms')
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The lease is written for longer than it is promised, and not again while it keeps the promise. A longer one than that, or
-- one that is no number, does not.
local left = (tonumber(stored[4]) or 0) - now
local lasts = left - ARGV[5] > 0 and left - ARGV[6] <= 0
-- All of them are written in one way only, so that equal texts are equal numbers. What is written otherwise is told apart
-- in commit.lua.
if ARGV[8] == 'plain' and stored[1] == ARGV[1] and stored[2] == ARGV[2] and stored[3] == ARGV[4] then
  if lasts then
    call('HSET', key, '~tick', ARGV[3], unpack(ARGV, 9))
  else
    call('HSET', key, '~tick', ARGV[3], '~lease_ms', string.format('%.0f', now + ARGV[6]),
      '~committed_ms', string.format('%.0f', now), unpack(ARGV, 9))
  end
  -- Last: nobody may see what is not written.
  call(PUBLISH, ARGV[7], ARGV[10])
  return 0
end
