-- ARGV: prefix, then sid, seen and idle until of each use
local function touch(sid, seen, idle)
  local found = find(sid)
  if not found or not found.record then return 0 end
  local was = found.record
  if leaving(was) or not live(was, seen) then return 0 end
  local seenBefore, idleBefore = sub(was, 4, 23), idleUntil(was)
  if seen < seenBefore then seen = seenBefore end
  if idle < idleBefore then idle = idleBefore end
  if seen == seenBefore and idle == idleBefore then return 1 end
  local record = 'W1-' .. seen .. idle .. sub(was, 44)
  write(found.secret, record)
  if idle ~= idleBefore then index(sid, record) end
  return 1
end

local n = 0
for i = 2, #ARGV, 3 do
  -- What cannot be read is passed over: the others are used, and who loads that one is told.
  n = n + (try(touch, ARGV[i], ARGV[i + 1], ARGV[i + 2]) or 0)
end
return { tostring(n) }
