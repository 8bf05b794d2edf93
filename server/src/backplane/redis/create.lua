-- Creates a match. KEYS: hash, index. ARGV: id, then the fields as name and value.
-- The index is a hint that may have been lost, so it is written even if the match exists.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SADD', KEYS[2], ARGV[1])
  return 0
end
in_chunks('HSET', 2, #ARGV)
redis.call('SADD', KEYS[2], ARGV[1])
return 1
