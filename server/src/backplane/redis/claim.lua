-- Makes a new ownership if the lease has expired or the claimant is the heir.
-- KEYS: hash. ARGV: nonce, node, lease in ms, failed ownerships allowed.
local stored = redis.call('HMGET', KEYS[1], '~epoch', '~nonce', '~status', '~lease_ms', '~heir', '~crashes')
local epoch = tonumber(stored[1])
if not epoch then return {'NO_MATCH', '0', {}} end
-- The same claim again: its answer was lost.
if stored[2] == ARGV[1] then return {'CLAIMED', '0', redis.call('HGETALL', KEYS[1])} end
if stored[3] == 'quarantined' then return {'QUARANTINED', '0', {}} end
local now = now_ms()
local left = (tonumber(stored[4] or '0') or 0) - now
if left > 0 and stored[5] ~= ARGV[2] then return {'HELD', decimal(left), {}} end
local crashes = tonumber(stored[6] or '0') or 0
if crashes >= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], '~status', 'quarantined', '~owner', '')
  return {'QUARANTINED', '0', {}}
end
redis.call('HSET', KEYS[1], '~epoch', decimal(epoch + 1), '~nonce', ARGV[1], '~owner', ARGV[2],
  '~lease_ms', decimal(now + tonumber(ARGV[3])), '~crashes', decimal(crashes + 1))
redis.call('HDEL', KEYS[1], '~heir')
return {'CLAIMED', '0', redis.call('HGETALL', KEYS[1])}
