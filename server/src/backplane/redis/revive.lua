-- Lets a quarantined match be claimed again. KEYS: hash.
if redis.call('HGET', KEYS[1], '~status') ~= 'quarantined' then return 0 end
redis.call('HSET', KEYS[1], '~status', 'open', '~crashes', '0', '~lease_ms', '0')
return 1
