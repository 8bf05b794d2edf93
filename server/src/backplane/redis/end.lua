-- Deletes a match. KEYS: hash, index. ARGV: epoch, nonce, channel, message, id.
if not owns() then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[5])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
