-- ARGV: prefix, sid, old secret, new secret, seen, idle until, auth time, AMR with its length
local sid, old, new, seen, idle, auth, amr = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local found = find(sid)
if not found or not found.record or found.secret ~= old then return { 'no' } end
local was = found.record
if leaving(was) or not live(was, seen) then return { 'no' } end
if new ~= old and at('GET', prefix .. 'r:' .. new) then return { 'taken' } end
local rest = sub(was, HEAD + 1 + tonumber(sub(was, 124, HEAD)))
local record = 'W1-' .. seen .. idle .. sub(was, 44, 103) .. auth .. amr .. rest
write(new, record)
index(sid, record)
if new ~= old then
  redis.call('SET', prefix .. 'i:' .. sid, new .. sub(found.card, 44))
  redis.call('UNLINK', prefix .. 'r:' .. old)
end
return { 'ok' }
