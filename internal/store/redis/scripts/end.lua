-- ARGV: prefix, position, then "s" and a sid, or "u" or "c", the owner, where to begin, how many at most.
-- Gives where to go on ("" for nowhere), a key that cannot be read ("" for none), and the ids that ended.
local position, kind, owner = ARGV[2], ARGV[3], ARGV[4]
local answer = { '', '' }

local function finish(sid, key)
  local found = find(sid)
  if not found then
    if key then at('ZREM', key, sid) end
    return
  end
  -- One without a record stays listed: the purge tells that it is gone.
  if not found.record or not theirs(found, kind, owner) or not (sub(found.record, 64, 83) < position) then return end
  forget(found)
  answer[#answer + 1] = sid
end

if kind == 's' then
  finish(owner)
  return answer
end
local key, most = prefix .. kind .. ':' .. owner, tonumber(ARGV[6])
local some = at('ZRANGEBYLEX', key, ARGV[5], '+', 'LIMIT', '0', ARGV[6])
for _, sid in ipairs(some) do
  local _, bad = try(finish, sid, key)
  if bad then answer[2] = bad end
end
if #some == most then answer[1] = '(' .. some[#some] end
return answer
