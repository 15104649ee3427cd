-- ARGV: prefix, now, how many to pass over, how many at most.
-- Gives "more" or "", how many stay in the way, a key that cannot be read ("" for none), and the ids that are gone.
local now, most = ARGV[2], tonumber(ARGV[4])
local answer, stay = { '', '0', '' }, 0

local function purge(sid)
  local found = find(sid)
  if found and found.record and live(found.record, now) then
    index(sid, found.record)
    -- Scores of far times are not exact.
    if tonumber(score(deadAt(found.record))) <= tonumber(score(now)) then stay = stay + 1 end
    return
  end
  if found then
    forget(found)
  else
    at('ZREM', DEAD, sid)
    at('ZREM', ALL, sid)
  end
  answer[#answer + 1] = sid
end

local some = at('ZRANGEBYSCORE', DEAD, '-inf', score(now), 'LIMIT', ARGV[3], ARGV[4])
for _, sid in ipairs(some) do
  local _, bad = try(purge, sid)
  if bad then
    answer[3] = bad
    stay = stay + 1
  end
end
if #some == most then answer[1] = 'more' end
answer[2] = tostring(stay)
return answer
