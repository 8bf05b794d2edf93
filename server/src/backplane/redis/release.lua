-- Lets the lease expire now. KEYS: hash. ARGV: epoch, nonce.
if not owns() then return 0 end
redis.call('HSET', KEYS[1], '~lease_ms', '0', '~owner', '')
return 1
