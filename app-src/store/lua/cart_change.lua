-- Add to, set or remove one line of a session's cart; makes the session at the first write.
-- KEYS op:<operation>, sessions, catalog, catalog:meta, then session:<sid>, cart:<sid>, session-orders:<sid> of the claimed
--      session and of the one to make if there is no such session
-- ARGV now ms, ttl ms, trial ms, sessions allowed, claimed sid, new sid, operation, mode, sku, quantity, if-match
-- Reply {outcome, sid, 1 if made, revision, catalog revision, sku, quantity, ...}; outcome ok, changed, no-cart, unknown-sku, lines,
-- quantity or sessions, and only ok has written anything. A repeated operation gets the first reply again.
local operation, sessions, catalog = KEYS[1], KEYS[2], KEYS[3]
local now, ttl = tonumber(ARGV[1]), tonumber(ARGV[2])
local mode, sku, quantity, expected = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]

local before = redis.call('GET', operation)
if before then return cjson.decode(before) end

local session, cart, mine, sid, life = KEYS[5], KEYS[6], KEYS[7], ARGV[5], ttl
local made = 0
if redis.call('HLEN', session) == 0 then
  session, cart, mine, sid, life, made = KEYS[8], KEYS[9], KEYS[10], ARGV[6], tonumber(ARGV[3]), 1
end
redis.call('ZCARD', sessions)
local applied = redis.call('HGET', KEYS[4], 'revision') or ''
local lines = redis.call('HGETALL', cart)
local held, count, revision = {}, 0, nil
for i = 1, #lines, 2 do
  if lines[i] == '#rev' then
    revision = lines[i + 1]
  elseif string.sub(lines[i], 1, 1) ~= '#' then
    held[lines[i]] = tonumber(lines[i + 1])
    count = count + 1
  end
end

if expected ~= '' and expected ~= '*' and expected ~= (revision or '0') then return {'changed'} end
if mode == 'remove' then
  if made == 1 then return {'no-cart'} end
  quantity = 0
else
  local document = redis.call('HGET', catalog, sku)
  if not document or cjson.decode(document).retired then return {'unknown-sku'} end
  if mode == 'add' then quantity = quantity + (held[sku] or 0) end
  if quantity > 99 then return {'quantity'} end
  if not held[sku] and count >= 50 then return {'lines'} end
end

if made == 1 then
  redis.call('ZREMRANGEBYSCORE', sessions, '-inf', now)
  if redis.call('ZCARD', sessions) >= tonumber(ARGV[4]) then return {'sessions'} end
  redis.call('HSET', session, 'v', '1', 'created', now)
end
local left = redis.call('PTTL', session)
if left < life * 0.9 then
  redis.call('PEXPIRE', session, life)
  redis.call('PEXPIRE', mine, life)
  redis.call('ZADD', sessions, now + life, sid)
  left = life
end
if quantity == 0 then
  redis.call('HDEL', cart, sku)
  held[sku] = nil
else
  redis.call('HSET', cart, sku, quantity)
  held[sku] = quantity
end
local epoch, number = string.match(revision or '', '^(%w+)%.(%d+)$')
revision = (epoch or string.sub(ARGV[7], 1, 10)) .. '.' .. ((tonumber(number) or 0) + 1)
redis.call('HSET', cart, '#rev', revision)
redis.call('PEXPIRE', cart, left)

local reply = {'ok', sid, made, revision, applied}
for name, amount in pairs(held) do
  reply[#reply + 1] = name
  reply[#reply + 1] = amount
end
redis.call('SET', operation, cjson.encode(reply), 'PX', 60000)
return reply
