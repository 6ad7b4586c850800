-- Move an order to another state; a cancelled one gives its pieces back, once.
-- KEYS order:<id>, stock, ledger
-- ARGV order id, wanted status, operation, time (RFC 3339), request id, by
-- Reply {outcome, field, value, ...} with the order's fields; outcome ok, same (it was there already), refused or
-- missing. Only ok has written anything.
local order, stock, ledger = KEYS[1], KEYS[2], KEYS[3]
local id, wanted, operation = ARGV[1], ARGV[2], ARGV[3]
local from = {paid = {placed = true}, shipped = {paid = true}, cancelled = {placed = true, paid = true}}

local function reply(outcome)
  local out = redis.call('HGETALL', order)
  table.insert(out, 1, outcome)
  return out
end

local held = redis.call('HMGET', order, 'status', 'answer', wanted .. '_op')
local status = held[1]
if not status then return {'missing'} end
if held[3] == operation then return reply('ok') end
if status == wanted then return reply('same') end
if not from[wanted] or not from[wanted][status] then return reply('refused') end
redis.call('XLEN', ledger)
redis.call('HLEN', stock)
local good, answer = pcall(cjson.decode, held[2] or '')
if not good or type(answer.lines) ~= 'table' then return redis.error_reply('CORRUPT answer in ' .. order) end
local back = {}
for i, line in ipairs(answer.lines) do
  local amount = redis.call('HGET', stock, line.sku)
  if not tonumber(amount or '0') then return redis.error_reply('CORRUPT stock of ' .. line.sku) end
  back[i] = line.sku .. '=' .. line.quantity
end

redis.call('HSET', order, 'status', wanted, wanted .. '_at', ARGV[4], wanted .. '_op', operation)
local refund = '0'
if wanted == 'cancelled' then
  if status == 'paid' then
    refund = '1'
    redis.call('HSET', order, 'refund_due', '1')
  end
  for _, line in ipairs(answer.lines) do redis.call('HINCRBY', stock, line.sku, line.quantity) end
end
redis.call('XADD', ledger, '*', 'type', wanted, 'order', id, 'lines', wanted == 'cancelled' and table.concat(back, ',') or '',
  'refund', refund, 'by', ARGV[6], 'request', ARGV[5])
return reply('ok')
