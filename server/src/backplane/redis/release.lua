-- Gives an ownership up. KEYS: hash.
-- ARGV: epoch, nonce, channel, message, heir or '', grace for the heir in ms, whether the match did not fail.
if not owns() then return 0 end
local lease = '0'
if ARGV[5] ~= '' then
  lease = decimal(now_ms() + tonumber(ARGV[6]))
  redis.call('HSET', KEYS[1], '~heir', ARGV[5])
else
  redis.call('HDEL', KEYS[1], '~heir')
end
redis.call('HSET', KEYS[1], '~lease_ms', lease, '~owner', '')
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], '~crashes', '0', '~status', 'open') end
redis.call(PUBLISH, ARGV[3], ARGV[4])
return 1
