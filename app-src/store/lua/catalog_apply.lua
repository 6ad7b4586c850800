-- Make a whole catalog the one that is sold.
-- KEYS catalog, catalog:meta, stock, ledger
-- ARGV revision, currency, only if none (0/1), force (0/1), then sku, opening stock, document for each product
-- Reply {outcome, added, changed, retired, active}; nothing is written before everything has been read.
local catalog, meta, stock, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local revision, currency = ARGV[1], ARGV[2]

local held = redis.call('HGET', meta, 'revision')
redis.call('XLEN', ledger)
redis.call('HLEN', stock)
local current = redis.call('HGETALL', catalog)
if held and ARGV[3] == '1' then return {'present', 0, 0, 0, 0} end
if held == revision then return {'unchanged', 0, 0, 0, 0} end

local old = {}
local active = 0
for i = 1, #current, 2 do
  local item = cjson.decode(current[i + 1])
  old[current[i]] = {text = current[i + 1], item = item}
  if not item.retired then active = active + 1 end
end

local writes, opening, wanted = {}, {}, {}
local added, changed, kept = 0, 0, 0
for i = 5, #ARGV, 3 do
  local sku, document = ARGV[i], ARGV[i + 2]
  wanted[sku] = true
  kept = kept + 1
  if not redis.call('HGET', stock, sku) then opening[#opening + 1] = {sku, ARGV[i + 1]} end
  if not old[sku] then
    added = added + 1
  elseif old[sku].text ~= document then
    changed = changed + 1
  end
  if not old[sku] or old[sku].text ~= document then
    writes[#writes + 1] = sku
    writes[#writes + 1] = document
  end
end

local retired = 0
for sku, entry in pairs(old) do
  if not wanted[sku] and not entry.item.retired then
    retired = retired + 1
    entry.item.retired = true
    writes[#writes + 1] = sku
    writes[#writes + 1] = cjson.encode(entry.item)
  end
end
if retired * 2 > active and ARGV[4] ~= '1' then return {'refused', added, changed, retired, active} end

local now = redis.call('TIME')
for i = 1, #writes, 2 do redis.call('HSET', catalog, writes[i], writes[i + 1]) end
for _, pair in ipairs(opening) do redis.call('HSET', stock, pair[1], pair[2]) end
redis.call('HSET', meta, 'revision', revision, 'currency', currency, 'applied_at', now[1], 'format', '1')
local lines = {}
for _, pair in ipairs(opening) do lines[#lines + 1] = pair[1] .. '=' .. pair[2] end
redis.call('XADD', ledger, '*', 'type', 'catalog', 'revision', revision, 'lines', table.concat(lines, ','))
return {'applied', added, changed, retired, kept}
