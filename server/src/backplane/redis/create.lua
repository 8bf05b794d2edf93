-- Creates a match. KEYS: hash. ARGV: the fields as name and value.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
in_chunks('HSET', ARGV, 1, #ARGV)
return 1
