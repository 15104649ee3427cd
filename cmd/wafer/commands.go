package main

import "github.com/alecthomas/kong"

const about = `Wafer signs people in and gives each application the credential it asked for:
a session cookie or a JSON Web Token. Both are refused as soon as they are revoked.

Start here:  wafer serve --demo`

// commands is the list of every command, sorted. A new command is one file and
// one line here.
type commands struct {
	Data     string           `help:"Folder of the database, the master key and the control socket. Default: ./wafer-data." default:"./wafer-data" type:"path" placeholder:"DIR"`
	Database string           `help:"Where everything lives: postgres://USER@HOST/NAME for several nodes. Default: SQLite in the data folder." placeholder:"URL"`
	Sessions string           `help:"Where sessions live: memory:, file:DIR, sqlite:PATH, postgres://..., redis://... Default: where they are, at first in the database." placeholder:"URL"`
	KeyFile  string           `help:"File with the master key, mode 0600. Default: master.key in the data folder." type:"path" placeholder:"FILE"`
	JSON     bool             `name:"json" help:"Print facts as JSON."`
	Config   kong.ConfigFlag  `help:"YAML file with flags of serve, one a line." placeholder:"FILE"`
	Version  kong.VersionFlag `help:"Print the version and stop."`

	API      apiCommands      `cmd:"" name:"api" help:"Protected services: format, algorithm and lifetime of their tokens."`
	Apply    applyCommand     `cmd:"" help:"Bring users, clients, APIs and roles to what a file declares."`
	Client   clientCommands   `cmd:"" help:"Applications that ask for credentials."`
	Doctor   doctorCommand    `cmd:"" help:"Examine a running Wafer as browsers and proxies meet it; name each fault and its fix."`
	Drill    drillCommand     `cmd:"" help:"Revoke a throwaway user and measure when each verifier refuses."`
	Key      keyCommands      `cmd:"" help:"Signing keys: list, rotate, retire."`
	Message  messageCommands  `cmd:"" help:"What applications and receivers of events are still to be told."`
	Relay    relayCommand     `cmd:"" help:"Pass the revocation feed of a Wafer on to verifiers nearby."`
	Revoke   revokeCommand    `cmd:"" help:"Take back a user's, session's, client's, token's, key's or API's credentials at once."`
	Role     roleCommands     `cmd:"" help:"Named sets of scopes."`
	Serve    serveCommand     `cmd:"" help:"Run the server."`
	Session  sessionCommands  `cmd:"" help:"Who is signed in where; end it."`
	Token    tokenCommands    `cmd:"" help:"Look into a token."`
	User     userCommands     `cmd:"" help:"People who may sign in."`
	Verifier verifierCommands `cmd:"" help:"Services that follow the revocation feed."`
}
