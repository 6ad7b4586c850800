-- Set or adjust the stock of one SKU, for a reason.
-- KEYS op:<operation>, catalog, stock, ledger
-- ARGV sku, mode (set or adjust), amount, reason, request id
-- Reply {outcome, stock}; outcome ok, unknown-sku or out-of-range. A repeated operation gets the first reply again.
local operation, catalog, stock, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local sku, amount = ARGV[1], tonumber(ARGV[3])

local before = redis.call('GET', operation)
if before then return {'ok', tonumber(before)} end
if redis.call('HEXISTS', catalog, sku) == 0 then return {'unknown-sku'} end
redis.call('XLEN', ledger)
local held = tonumber(redis.call('HGET', stock, sku) or '0')
if not held then return redis.error_reply('CORRUPT stock of ' .. sku) end
local delta = ARGV[2] == 'set' and amount - held or amount
local after = held + delta
if after < 0 or after > 10000000 then return {'out-of-range', held} end

redis.call('HINCRBY', stock, sku, delta)
redis.call('XADD', ledger, '*', 'type', 'stock', 'lines', sku .. '=' .. delta, 'stock', after, 'reason', ARGV[4],
  'request', ARGV[5])
redis.call('SET', operation, after, 'PX', 60000)
return {'ok', after}
