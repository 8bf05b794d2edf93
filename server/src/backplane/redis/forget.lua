-- Drops an id from the index unless it has been created again meanwhile. KEYS: hash, index. ARGV: id.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SREM', KEYS[2], ARGV[1])
