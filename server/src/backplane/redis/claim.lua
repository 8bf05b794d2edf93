-- Makes a new ownership if the lease has expired. KEYS: hash, index. ARGV: nonce, node, lease in ms, id.
local stored = redis.call('HMGET', KEYS[1], '~epoch', '~lease_ms')
if not stored[1] then return {'NO_MATCH', '0', {}} end
local now = now_ms()
local left = (tonumber(stored[2] or '0') or 0) - now
if left > 0 then return {'HELD', decimal(left), {}} end
redis.call('HSET', KEYS[1], '~nonce', ARGV[1], '~owner', ARGV[2], '~lease_ms', decimal(now + tonumber(ARGV[3])))
redis.call('HINCRBY', KEYS[1], '~epoch', 1)
redis.call('SADD', KEYS[2], ARGV[4])
return {'CLAIMED', '0', redis.call('HGETALL', KEYS[1])}
