-- Every script begins with this. ARGV[1] is the prefix of all keys. Redis is not a cluster, so keys are made
-- here; see doc.go for what they hold. Times and positions are 20 digits (record.go): as texts of one length
-- they compare exactly, as Lua's numbers they would not.
local prefix = ARGV[1]
local sub, match = string.sub, string.match
local ALL, DEAD = prefix .. 'all', prefix .. 'dead'
local HEAD = 129 -- the part of a record that has fixed places

local function fail(key) error('WAFER-KEY ' .. key, 0) end

-- at does one command on a key that may hold something that is not ours.
local function at(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    if match(answer.err, 'WRONGTYPE') then fail(key) end
    error(answer.err, 0)
  end
  return answer
end

-- word is the text that begins at a place ("5:hello"), and where it ends.
local function word(value, from, key)
  local size = match(value, '^(%d+):', from)
  if not size or #size > 9 then fail(key) end
  local first = from + #size + 1
  local last = first + tonumber(size) - 1
  if last > #value then fail(key) end
  return sub(value, first, last), last
end

-- find gives what is known of a session: nil when nothing is; without a record when that is lost or too old.
local function find(sid)
  local key = prefix .. 'i:' .. sid
  local card = at('GET', key)
  if not card then return nil end
  local user, last = word(card, 44, key)
  local client
  client, last = word(card, last + 1, key)
  if last ~= #card then fail(key) end
  local found = { sid = sid, secret = sub(card, 1, 43), user = user, client = client, card = card }
  key = prefix .. 'r:' .. found.secret
  local record = at('GET', key)
  if not record then return found end
  if #record < HEAD or not match(record, '^W1[%-L]') or match(sub(record, 4, HEAD), '%D') then fail(key) end
  local owner = word(record, HEAD + 1 + tonumber(sub(record, 124, HEAD)), key)
  -- A secret that was free again may be another session's by now.
  if owner == sid then found.record = record end
  return found
end

local function leaving(record) return sub(record, 3, 3) == 'L' end
local function idleUntil(record) return sub(record, 24, 43) end
local function expiresAt(record) return sub(record, 44, 63) end
local function live(record, now) return now < idleUntil(record) and now < expiresAt(record) end

local function deadAt(record)
  local idle, expires = idleUntil(record), expiresAt(record)
  if idle < expires then return idle end
  return expires
end

-- number is for scores, which are doubles: exact until the year 2255.
local function number(digits)
  return (tonumber(sub(digits, 1, 10)) - 922337203) * 1e10 + (tonumber(sub(digits, 11, 20)) - 6854775808)
end

local function score(digits) return string.format('%.0f', math.max(-9e15, math.min(9e15, number(digits)))) end

-- keep is for how many milliseconds a record is kept from now on: as long as it may live from its last use, and
-- an hour. No clock of two machines is compared, and nobody relies on it.
local function keep(record)
  local left = (number(deadAt(record)) - number(sub(record, 4, 23))) / 1000
  return string.format('%.0f', math.max(0, math.min(3.2e12, left)) + 3600000)
end

local function write(secret, record) redis.call('SET', prefix .. 'r:' .. secret, record, 'PX', keep(record)) end
local function index(sid, record) at('ZADD', DEAD, score(deadAt(record)), sid) end

local function forget(found)
  if found.record then redis.call('UNLINK', prefix .. 'r:' .. found.secret) end
  redis.call('UNLINK', prefix .. 'i:' .. found.sid)
  at('ZREM', prefix .. 'u:' .. found.user, found.sid)
  if found.client ~= '' then at('ZREM', prefix .. 'c:' .. found.client, found.sid) end
  at('ZREM', ALL, found.sid)
  at('ZREM', DEAD, found.sid)
end

-- try does what may come upon a value that is not ours, and gives its key then: what was done to others meanwhile
-- must still be told.
local function try(what, ...)
  local ok, answer = pcall(what, ...)
  if ok then return answer, nil end
  local key = match(tostring(answer), '^WAFER%-KEY (.*)$')
  if not key then error(answer, 0) end
  return nil, key
end

local function theirs(found, kind, owner)
  if kind == 'u' then return found.user == owner end
  if kind == 'c' then return found.client == owner end
  return true
end

local function main()
