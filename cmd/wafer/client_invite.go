package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type clientInvite struct {
	Uses int           `help:"How many clients may register themselves with it." default:"1" placeholder:"N"`
	For  time.Duration `name:"for" help:"How long it lasts, at most 720h." default:"24h" placeholder:"TIME"`
}

// Help is shown by wafer client invite --help.
func (clientInvite) Help() string {
	return "The server must run with --registration token or open.\n\nExample:\n  wafer client invite --uses 5 --for 168h"
}

// Run makes the invitation.
func (c *clientInvite) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.Invitation
		if err := m.call(http.MethodPost, "/invitations", manage.NewInvitation{Uses: c.Uses, For: c.For.String()}, &out); err != nil {
			return err
		}
		clients := "one client"
		if out.Uses > 1 {
			clients = strconv.Itoa(out.Uses) + " clients"
		}
		return e.show(out, func() {
			e.say("An initial access token for "+clients+", shown this once; good until "+when(out.ExpiresAt)+" at "+out.Endpoint+":", out.Token)
		})
	})
}
