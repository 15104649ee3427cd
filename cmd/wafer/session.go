package main

import (
	"net/http"
	"net/url"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type sessionCommands struct {
	End  sessionEnd  `cmd:"" help:"End a session and all that hangs from it."`
	List sessionList `cmd:"" help:"List the live sessions of a user."`
	Move sessionMove `cmd:"" help:"Move all sessions to another home, with nobody signed out."`
}

type sessionEnd struct {
	ID string `arg:"" help:"The sid."`
}

// Help is shown by wafer session end --help.
func (sessionEnd) Help() string {
	return "Example:\n  wafer session end ses_01m8563k2qahq3chjdrrftb8h1"
}

// Run ends the session.
func (c *sessionEnd) Run(e *env) error {
	return e.with(func(m *manager) error {
		if err := m.call(http.MethodDelete, "/sessions/"+url.PathEscape(c.ID), nil, nil); err != nil {
			return err
		}
		return e.show(map[string]string{"ended": c.ID}, func() { e.say("Session " + c.ID + " ended. Its cookie and tokens are refused.") })
	})
}

type sessionList struct {
	User string `required:"" help:"Id or login." placeholder:"USER"`
}

// Help is shown by wafer session list --help.
func (sessionList) Help() string {
	return "Example:\n  wafer session list --user ada@example.com"
}

// Run lists the sessions.
func (c *sessionList) Run(e *env) error {
	return e.with(func(m *manager) error {
		u, err := m.user(c.User)
		if err != nil {
			return err
		}
		all, err := list[manage.Session](m, "/sessions?user="+url.QueryEscape(u.ID))
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, s := range all {
				rows = append(rows, []string{s.ID, orDash(s.Client), when(s.CreatedAt), when(s.SeenAt), when(s.ExpiresAt), orDash(s.Address), orDash(s.Agent)})
			}
			e.table([]string{"ID", "CLIENT", "SINCE", "SEEN", "UNTIL", "ADDRESS", "AGENT"}, rows)
		})
	})
}
