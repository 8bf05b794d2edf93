-- Makes a new ownership if the lease has expired or the claimant is the heir.
-- KEYS: hash. ARGV: nonce, node, lease in ms, failed ownerships allowed, entries of ~claims, unanswered nonces.
local stored = redis.call('HMGET', KEYS[1], '~epoch', '~nonce', '~status', '~lease_ms', '~heir', '~crashes',
  '~claims', '~tick', '~history')
local epoch = tonumber(stored[1])
if not epoch then return {'NO_MATCH', '0', {}} end
-- An earlier try was granted, and its answer was lost.
for at = 1, #ARGV do
  if (at == 1 or at > 5) and stored[2] == ARGV[at] then return {'CLAIMED', '0', redis.call('HGETALL', KEYS[1])} end
end
if stored[3] == 'quarantined' then return {'QUARANTINED', '0', {}} end
local now = now_ms()
local leased_until = tonumber(stored[4] or '0') or 0
local left = leased_until - now
if left > 0 and stored[5] ~= ARGV[2] then return {'HELD', decimal(left), {}} end
-- The server was restarted or replaced since: an owner that lives may have to write back what is lost, and is first.
local here = history()
if left <= 0 and leased_until > 0 and stored[9] and stored[9] ~= here then
  redis.call('HSET', KEYS[1], '~history', here, '~lease_ms', decimal(now + tonumber(ARGV[3])))
  return {'HELD', ARGV[3], {}}
end
local crashes = tonumber(stored[6] or '0') or 0
if crashes >= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], '~status', 'quarantined', '~owner', '')
  return {'QUARANTINED', '0', {}}
end
local claims = {}
for claim in string.gmatch(stored[7] or '', '%S+') do claims[#claims + 1] = claim end
claims[#claims + 1] = decimal(epoch + 1) .. ':' .. ARGV[1] .. ':' .. (stored[8] or '0')
redis.call('HSET', KEYS[1], '~epoch', decimal(epoch + 1), '~nonce', ARGV[1], '~owner', ARGV[2],
  '~lease_ms', decimal(now + tonumber(ARGV[3])), '~crashes', decimal(crashes + 1),
  '~claims', table.concat(claims, ' ', math.max(1, #claims - tonumber(ARGV[5]) + 1)),
  '~history', here)
redis.call('HDEL', KEYS[1], '~heir')
return {'CLAIMED', '0', redis.call('HGETALL', KEYS[1])}
