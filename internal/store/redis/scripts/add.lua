-- ARGV: prefix, sid, secret, user, client, card, record
local sid, secret, user, client, card, record = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local found = find(sid)
if found and found.record or at('GET', prefix .. 'r:' .. secret) then return { 'taken' } end
if found then forget(found) end
at('ZADD', prefix .. 'u:' .. user, '0', sid)
if client ~= '' then at('ZADD', prefix .. 'c:' .. client, '0', sid) end
at('ZADD', ALL, '0', sid)
index(sid, record)
redis.call('SET', prefix .. 'i:' .. sid, card)
write(secret, record)
return { 'ok' }
