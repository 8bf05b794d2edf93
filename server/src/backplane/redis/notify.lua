-- Publishes without a commit. KEYS: hash. ARGV: epoch, nonce, channel, message.
if not owns() then return 0 end
redis.call(PUBLISH, ARGV[3], ARGV[4])
return 1
