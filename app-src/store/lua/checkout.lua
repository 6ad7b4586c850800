-- Turn a cart into an order: price, stock, order, empty cart and ledger entry in one step.
-- KEYS order:<id>, cart:<sid>, catalog, catalog:meta, stock, ledger, orders, session-orders:<sid>
-- ARGV order id, sid, key hash, fingerprint, time (RFC 3339), expected total or '', expected cart revision or '',
--      link, session ttl ms, request id
-- Reply {outcome, ...}: replayed answer | key-reused | empty | cart-changed revision | short sku wanted available ... |
--      price-changed total | placed answer. Only `placed` has written anything, and nothing is written before
--      everything has been read: Lua does not roll back.
local order, cart, catalog, meta, stock = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ledger, orders, mine = KEYS[6], KEYS[7], KEYS[8]
local id, sid, key, fingerprint, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local before = redis.call('HMGET', order, 'fp', 'answer')
if before[2] then
  if before[1] ~= fingerprint then return {'key-reused'} end
  return {'replayed', before[2]}
end

local fields = redis.call('HGETALL', cart)
local quantities, skus, revision = {}, {}, '0'
for i = 1, #fields, 2 do
  if fields[i] == '#rev' then
    revision = fields[i + 1]
  elseif string.sub(fields[i], 1, 1) ~= '#' then
    skus[#skus + 1] = fields[i]
    quantities[fields[i]] = tonumber(fields[i + 1])
    if not quantities[fields[i]] then return redis.error_reply('CORRUPT quantity in ' .. cart) end
  end
end
if ARGV[7] ~= '' and ARGV[7] ~= revision then return {'cart-changed', revision} end
if #skus == 0 then return {'empty'} end
table.sort(skus)

local documents = redis.call('HMGET', catalog, unpack(skus))
local amounts = redis.call('HMGET', stock, unpack(skus))
local currency = redis.call('HGET', meta, 'currency')
if not currency then return redis.error_reply('CORRUPT no currency in ' .. meta) end
local lines, sold, short, total = {}, {}, {'short'}, 0
for i, sku in ipairs(skus) do
  local quantity, available = quantities[sku], tonumber(amounts[i] or '0')
  local good, item = pcall(cjson.decode, documents[i] or '{"retired":true,"name":"","price_cents":0}')
  if not good or not available or type(item.price_cents) ~= 'number' then
    return redis.error_reply('CORRUPT catalog or stock of ' .. sku)
  end
  if item.retired then available = 0 end
  if available < quantity then
    short[#short + 1] = sku
    short[#short + 1] = quantity
    short[#short + 1] = available
  end
  local cents = item.price_cents * quantity
  total = total + cents
  lines[i] = string.format('{"sku":%s,"name":%s,"quantity":%d,"price_cents":%.0f,"line_cents":%.0f}',
    cjson.encode(sku), cjson.encode(item.name), quantity, item.price_cents, cents)
  sold[i] = sku .. '=' .. quantity
end
if #short > 1 then return short end
local sum = string.format('%.0f', total)
if ARGV[6] ~= '' and ARGV[6] ~= sum then return {'price-changed', sum} end
local number = redis.call('XLEN', ledger) + 1
redis.call('ZCARD', orders)
redis.call('ZCARD', mine)

local answer = string.format(
  '{"order_id":%s,"status":"placed","placed_at":%s,"currency":%s,"lines":[%s],"total_cents":%s,"link":%s}',
  cjson.encode(id), cjson.encode(now), cjson.encode(currency), table.concat(lines, ','), sum, cjson.encode(ARGV[8]))
redis.call('HSET', order, 'v', '1', 'sid', sid, 'key', key, 'fp', fingerprint, 'status', 'placed', 'answer', answer)
for _, sku in ipairs(skus) do
  redis.call('HINCRBY', stock, sku, -quantities[sku])
  redis.call('HDEL', cart, sku)
end
local epoch, count = string.match(revision, '^(%w+)%.(%d+)$')
redis.call('HSET', cart, '#rev', (epoch or string.sub(id, 1, 10)) .. '.' .. ((tonumber(count) or 0) + 1))
redis.call('ZADD', orders, number, id)
redis.call('ZADD', mine, number, id)
redis.call('PEXPIRE', mine, ARGV[9])
redis.call('XADD', ledger, '*', 'type', 'placed', 'order', id, 'lines', table.concat(sold, ','), 'total', sum,
  'request', ARGV[10])
return {'placed', answer}
