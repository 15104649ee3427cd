-- ARGV: prefix, sid
local found = find(ARGV[2])
if not found or not found.record then return {} end
local record = 'W1L' .. sub(found.record, 4)
if record ~= found.record then redis.call('SET', prefix .. 'r:' .. found.secret, record, 'KEEPTTL') end
return { found.secret, record }
