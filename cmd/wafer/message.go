package main

import (
	"net/url"
	"strconv"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type messageCommands struct {
	List messageList `cmd:"" default:"1" help:"List what applications and receivers are still to be told, and what was given up."`
}

type messageList struct {
	GivenUp bool   `help:"Only what will not be tried again."`
	To      string `help:"Only what is for this client or stream." placeholder:"ID"`
}

// Help is shown by wafer message list --help.
func (messageList) Help() string { return "Example:\n  wafer message list --given-up" }

// Run lists them.
func (c *messageList) Run(e *env) error {
	q := url.Values{}
	if c.GivenUp {
		q.Set("state", "given up")
	}
	if c.To != "" {
		q.Set("to", c.To)
	}
	return e.with(func(m *manager) error {
		all, err := list[manage.Message](m, "/messages?"+q.Encode())
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, one := range all {
				rows = append(rows, []string{one.ID, one.Topic, one.To, one.State, strconv.Itoa(one.Attempts), orDash(one.Problem)})
			}
			e.table([]string{"ID", "TOPIC", "TO", "STATE", "ATTEMPTS", "PROBLEM"}, rows)
		})
	})
}
