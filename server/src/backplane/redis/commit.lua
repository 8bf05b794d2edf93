-- Commits a tick. KEYS: hash.
-- ARGV: epoch, nonce, tick, lease in ms, channel, ring field, message, number of values to set (two per field),
-- these values, the names to delete.
local stored = redis.call('HMGET', KEYS[1], '~epoch', '~nonce', '~tick', ARGV[6])
if not stored[1] then return {'NO_MATCH', '0'} end
if stored[1] ~= ARGV[1] or stored[2] ~= ARGV[2] then return {'FENCED', '0'} end
local last, tick = tonumber(stored[3] or '0') or 0, tonumber(ARGV[3])
if tick == last then return {stored[4] == ARGV[7] and 'DUP_SAME' or 'DUP_DIFF', '0'} end
if tick > last + 1 then return {'BEHIND', decimal(last)} end
if tick < last then return {'STALE', decimal(last)} end

-- HSET comes first: it is refused when memory is full, and only as long as the script has written nothing.
-- PUBLISH comes last: a script that fails is not rolled back, and nobody may see what is not written.
local now = now_ms()
local last_set = 8 + tonumber(ARGV[8])
in_chunks('HSET', 9, last_set)
redis.call('HSET', KEYS[1], ARGV[6], ARGV[7], '~tick', ARGV[3],
  '~lease_ms', decimal(now + tonumber(ARGV[4])), '~committed_ms', decimal(now))
in_chunks('HDEL', last_set + 1, #ARGV)
redis.call('PUBLISH', ARGV[5], ARGV[7])
return {'OK', '0'}
