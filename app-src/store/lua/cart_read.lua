-- Read a session's cart, and give both a new life when a tenth of it has gone.
-- KEYS session:<sid>, cart:<sid>, sessions, catalog:meta, session-orders:<sid>
-- ARGV now ms, ttl ms, sid
-- Reply {1 if the session exists, catalog revision, cart field, value, ...}
local session, cart, sessions = KEYS[1], KEYS[2], KEYS[3]
local ttl = tonumber(ARGV[2])
local reply = {redis.call('HLEN', session) > 0 and 1 or 0, redis.call('HGET', KEYS[4], 'revision') or ''}
if reply[1] == 0 then return reply end
local lines = redis.call('HGETALL', cart)
redis.call('ZCARD', sessions)
if redis.call('PTTL', session) < ttl * 0.9 then
  redis.call('PEXPIRE', session, ttl)
  redis.call('PEXPIRE', cart, ttl)
  redis.call('PEXPIRE', KEYS[5], ttl)
  redis.call('ZADD', sessions, ARGV[1] + ttl, ARGV[3])
end
for i = 1, #lines do reply[#reply + 1] = lines[i] end
return reply
