package main

import (
	"fmt"
	"net/http"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type revokeCommand struct {
	User    string `help:"All sessions of this user, by id or login." xor:"what" required:"" placeholder:"ID"`
	Session string `help:"One session." xor:"what" required:"" placeholder:"ID"`
	Client  string `help:"All that was given to this client." xor:"what" required:"" placeholder:"ID"`
	Token   string `help:"One access token, or its jti." xor:"what" required:"" placeholder:"TOKEN"`
	Key     string `help:"Every token signed by this key." xor:"what" required:"" placeholder:"ID"`
	API     string `name:"api" help:"Every token of this API." xor:"what" required:"" placeholder:"ID"`
	Ack     string `help:"How far the revocation has come when this returns: durable (on disk), hubs (every node), fleet (no verifier accepts any more)." enum:"durable,hubs,fleet" default:"durable" placeholder:"LEVEL"`
	Reason  string `help:"A word for the log." placeholder:"WORD"`
}

// Help is shown by wafer revoke --help.
func (revokeCommand) Help() string {
	return "Examples:\n  wafer revoke --user ada@example.com\n  wafer revoke --token tok_01m8563k2qahq3chjdrrftb8h1 --reason leaked"
}

// Run takes it back.
func (c *revokeCommand) Run(e *env) error {
	in := manage.NewRevocation{User: c.User, Session: c.Session, Client: c.Client, Token: c.Token, Key: c.Key, API: c.API, Ack: c.Ack, Reason: c.Reason}
	return e.with(func(m *manager) error {
		if c.User != "" {
			u, err := m.user(c.User)
			if err != nil {
				return err
			}
			in.User = u.ID
		}
		var out manage.Revoked
		if err := m.call(http.MethodPost, "/revocations", in, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.say(fmt.Sprintf("Revoked: position %d of the log, %s after %.1f ms.", out.Seq, out.Ack, out.TookMS))
		})
	})
}
