package redis

import (
	_ "embed"

	"github.com/redis/rueidis"
)

var (
	//go:embed scripts/prelude.lua
	prelude string
	//go:embed scripts/epilogue.lua
	epilogue string
	//go:embed scripts/add.lua
	addLua string
	//go:embed scripts/byid.lua
	byIDLua string
	//go:embed scripts/end.lua
	endLua string
	//go:embed scripts/leave.lua
	leaveLua string
	//go:embed scripts/list.lua
	listLua string
	//go:embed scripts/purge.lua
	purgeLua string
	//go:embed scripts/renew.lua
	renewLua string
	//go:embed scripts/touch.lua
	touchLua string
)

// unreadable is the first word of a script's answer about a value that is not
// ours; the key follows.
const unreadable = "WAFER-KEY"

// scripts are sent by their digest, and in full to a server that does not know
// them (any more).
type scripts struct {
	add, byID, end, leave, list, purge, renew, touch *rueidis.Lua
}

// Those that may be sent twice are tried again on a new connection when theirs
// breaks. The others may have been carried out: only the caller knows what then.
func newScripts() scripts {
	once := func(body string) *rueidis.Lua { return rueidis.NewLuaScript(prelude + body + epilogue) }
	again := func(body string) *rueidis.Lua { return rueidis.NewLuaScriptRetryable(prelude + body + epilogue) }
	return scripts{
		add: once(addLua), end: once(endLua), purge: once(purgeLua), renew: once(renewLua),
		byID: again(byIDLua), leave: again(leaveLua), list: again(listLua), touch: again(touchLua),
	}
}
