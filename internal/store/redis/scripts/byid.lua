-- ARGV: prefix, sid
local found = find(ARGV[2])
if not found or not found.record then return {} end
return { found.secret, found.record }
