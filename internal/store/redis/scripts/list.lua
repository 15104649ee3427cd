-- ARGV: prefix, "u", "c" or "all", the owner, where to begin, how many at most.
-- Gives where to go on ("" for nowhere), and secret and record of each.
local kind, owner, most = ARGV[2], ARGV[3], tonumber(ARGV[5])
local key = ALL
if kind ~= 'all' then key = prefix .. kind .. ':' .. owner end
local some = at('ZRANGEBYLEX', key, ARGV[4], '+', 'LIMIT', '0', ARGV[5])
local answer = { '' }
for _, sid in ipairs(some) do
  local found = find(sid)
  if found and found.record and theirs(found, kind, owner) then
    answer[#answer + 1] = found.secret
    answer[#answer + 1] = found.record
  end
end
if #some == most then answer[1] = '(' .. some[#some] end
return answer
