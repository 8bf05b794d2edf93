-- Commits a tick. KEYS: hash.
-- ARGV: epoch, nonce, tick, lease in ms, channel, ring field, message, whether the values are the whole state,
-- whether a try of it got no answer, number of values to set (two per field), these values, the names to delete.
local stored = redis.call('HMGET', KEYS[1], '~epoch', '~nonce', '~tick', ARGV[6])
if not tonumber(stored[1]) then return {'NO_MATCH', '0'} end
if stored[1] ~= ARGV[1] or stored[2] ~= ARGV[2] then return {'FENCED', '0'} end
local last, tick, whole = tonumber(stored[3] or '0') or 0, tonumber(ARGV[3]), ARGV[8] == '1'
if tick == last then return {stored[4] == ARGV[7] and 'DUP_SAME' or 'DUP_DIFF', '0'} end
if tick > last + 1 and not whole then return {'BEHIND', decimal(last)} end
if tick < last then return {'STALE', decimal(last)} end

-- HSET comes first: it is refused when memory is full, and only as long as the script has written nothing.
-- PUBLISH comes last: a script that fails is not rolled back, and nobody may see what is not written.
local now = now_ms()
local last_set = 10 + tonumber(ARGV[10])
in_chunks('HSET', ARGV, 11, last_set)
redis.call('HSET', KEYS[1], ARGV[6], ARGV[7], '~tick', ARGV[3],
  '~lease_ms', decimal(now + tonumber(ARGV[4])), '~committed_ms', decimal(now))
in_chunks('HDEL', ARGV, last_set + 1, #ARGV)
if whole or ARGV[9] == '1' then redis.call('HSET', KEYS[1], '~history', history()) end
if whole then
  -- The store has lost writes: of the state it has left, nothing stays but what has just been written.
  local written = {[ARGV[6]] = true}
  for at = 11, last_set, 2 do written[ARGV[at]] = true end
  local stale = {}
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    local is_state = name:sub(1, 1) ~= '~' or name:find('^~[cd]%d') or name:find('^~seat:')
      or name:find('^~said:') or name == '~prior'
    if is_state and not written[name] then stale[#stale + 1] = name end
  end
  in_chunks('HDEL', stale, 1, #stale)
end
redis.call(PUBLISH, ARGV[5], ARGV[7])
return {'OK', '0'}
