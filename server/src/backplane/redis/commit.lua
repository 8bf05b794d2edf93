-- Commits a tick that is not plain, and refuses what may not be committed. It stands behind tick.lua, which has the
-- arguments and knows `stored`, `now` and whether the lease `lasts`. The answer is 0 for a tick that is written, a word and a tick for one that is not.
if not tonumber(stored[1]) then return {'NO_MATCH', '0'} end
if stored[1] ~= ARGV[1] or stored[2] ~= ARGV[2] then return {'FENCED', '0'} end
local last, tick, whole = tonumber(stored[3] or '0') or 0, tonumber(ARGV[3]), ARGV[8] == 'whole'
if tick == last then
  return {redis.call('HGET', KEYS[1], ARGV[9]) == ARGV[10] and 'DUP_SAME' or 'DUP_DIFF', '0'}
end
if tick > last + 1 and not whole then return {'BEHIND', decimal(last)} end
if tick < last then return {'STALE', decimal(last)} end

-- HSET comes first: it is refused when memory is full, and only as long as the script has written nothing.
-- PUBLISH comes last: a script that fails is not rolled back, and nobody may see what is not written.
local end_of_names = #ARGV - 1
local last_set = ARGV[8] == 'plain' and #ARGV or end_of_names - tonumber(ARGV[#ARGV])
in_chunks('HSET', ARGV, 9, last_set)
redis.call('HSET', KEYS[1], '~tick', ARGV[3])
if not lasts then
  redis.call('HSET', KEYS[1], '~lease_ms', decimal(now + tonumber(ARGV[6])), '~committed_ms', decimal(now))
end
in_chunks('HDEL', ARGV, last_set + 1, end_of_names)
if whole or ARGV[8] == 'again' then redis.call('HSET', KEYS[1], '~history', history()) end
if whole then
  -- The store has lost writes: of the state it has left, nothing stays but what has just been written.
  local written = {}
  for at = 9, last_set, 2 do written[ARGV[at]] = true end
  local stale = {}
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    local is_state = name:sub(1, 1) ~= '~' or name:find('^~[cd]%d') or name:find('^~seat:')
      or name:find('^~said:') or name:find('^~view:') or name == '~prior'
    if is_state and not written[name] then stale[#stale + 1] = name end
  end
  in_chunks('HDEL', stale, 1, #stale)
end
redis.call(PUBLISH, ARGV[7], ARGV[10])
return 0
