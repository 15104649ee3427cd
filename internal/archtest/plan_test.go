package archtest

// house is the plan of this repository. A new package needs a word in floors and a line in ARCHITECTURE.md.
var house = plan{
	module: "github.com/wafer-auth/wafer",

	// Imports go down, never sideways: a package imports only from lower floors. Paths are below internal/
	// unless they begin with cmd/. The verify module lies under all of them.
	floors: []floor{
		{0, "words", "archtest audit browsertest config fault limit logs opaque pgtest redistest"},
		{1, "things", "account api client doctor revoke role"},
		{2, "means", "consent factor/password feed keyring oidc outbox peerkeys receiver session statuslist ticket token"},
		{3, "flows", "admin authorize grant logout signin ssf"},
		{4, "ports", "store store/records web/respond"},
		{5, "machinery", "store/file store/memory store/redis store/split store/sqlstore store/storetest web/courier web/middleware"},
		{6, "surfaces", "web/feed web/https web/manage web/oauth web/pages web/receiver web/sessions web/ssf web/statuslist"},
		{7, "assembly", "app"},
		{8, "commands", "cmd/wafer"},
	},

	// Imports between two packages of one floor, each with its reason. An entry nobody needs is a failure.
	sideways: []sideway{},

	bans: []ban{
		{from: "internal/web", to: "internal/store",
			reason: "web asks flows, never the store: a rule that sits in a handler holds on one path only"},
		{from: "internal/store", to: "internal/web", tests: true,
			reason: "a store knows nothing of HTTP"},
		{from: ".", to: "internal/browsertest",
			reason: "a package for tests stays out of what runs"},
		{from: ".", to: "internal/redistest",
			reason: "a package for tests stays out of what runs"},
		{from: ".", to: "internal/pgtest",
			reason: "a package for tests stays out of what runs"},
		{from: ".", to: "internal/store/storetest",
			reason: "a package for tests stays out of what runs"},
		{from: "verify", to: ".", unless: []string{"verify"}, tests: true,
			reason: "verify is a stranger's package: it imports nothing of ours outside itself"},
		{from: "examples", to: ".", unless: []string{"examples", "verify"}, tests: true,
			reason: "examples show what a user writes, and a user has only verify"},
	},

	imports: []reservedImport{
		{path: "net/http", homes: []string{"bench", "clients", "cmd", "examples", "internal/app", "internal/doctor", "internal/web", "verify"},
			reason: "packages that decide know no HTTP; doctor decides nothing: it asks what a browser asks"},
		{path: "database/sql", homes: []string{"bench", "internal/store/sqlstore"},
			reason: "only sqlstore speaks SQL; the peers that bench measures do too"},
		{path: "C", homes: nil,
			reason: "no cgo: one static binary"},
	},

	calls: []reservedCall{
		{path: "time", names: []string{"Now", "Since", "Until"}, tests: true,
			homes:  []string{"bench", "clients", "cmd", "examples", "internal/app", "verify"},
			reason: "take a `now func() time.Time`, so that tests own the clock"},
		{path: "os", names: []string{"Environ", "ExpandEnv", "Getenv", "LookupEnv"}, tests: true,
			homes:  []string{"bench", "clients", "internal/config"},
			reason: "settings come from the environment in one place; bench, a program of its own, reads BENCH, and tests of real clients start programs"},
	},

	// Modules whose only imports are their own packages and the standard library.
	stdlibOnly: []string{"verify"},

	badNames: []string{"base", "common", "core", "helper", "helpers", "model", "models", "shared", "types", "util", "utils"},

	fileLines:     500,
	functionLines: 80,
	documentLines: map[string]int{"ARCHITECTURE.md": 175},

	// Files and functions that may be longer, each with its reason: "path" or "path:Function" or "path:Type.Method".
	// An entry nobody needs is a failure.
	longer: map[string]string{},

	// What no file may mention: the names of the places this was written in say nothing to a reader.
	badWords: []string{"/" + "home/", "/" + "root/", "/" + "Users/"},
	// Folders whose files mention bad words on purpose.
	badWordsSpared: []string{"internal/archtest/testdata"},

	// Documents that tell history: the files they name may be gone.
	history: []string{"CHANGELOG.md", "docs/adr"},
}

// A plan is everything the rules compare a tree with.
type plan struct {
	module         string
	floors         []floor
	sideways       []sideway
	bans           []ban
	imports        []reservedImport
	calls          []reservedCall
	stdlibOnly     []string
	badNames       []string
	fileLines      int
	functionLines  int
	documentLines  map[string]int
	longer         map[string]string
	badWords       []string
	badWordsSpared []string
	history        []string
}

// A floor is a number, its name and the packages on it, separated by spaces.
type floor struct {
	number   int
	name     string
	packages string
}

// A sideway lets one package import another of its own floor.
type sideway struct{ from, to, reason string }

// A ban forbids packages at or below from to import packages at or below to, except those at or below unless.
// It binds test files too when tests is set.
type ban struct {
	from, to string
	unless   []string
	tests    bool
	reason   string
}

// A reservedImport keeps a package, and those below it, for the homes.
type reservedImport struct {
	path   string
	homes  []string
	reason string
}

// A reservedCall keeps functions of a package for the homes, and when tests is set for every test and every
// package whose name ends in test.
type reservedCall struct {
	path   string
	names  []string
	homes  []string
	tests  bool
	reason string
}
