package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/manage"
)

type sessionMove struct {
	To     string `help:"New home of sessions: file:DIR, sqlite:PATH, postgres://..., redis://..., memory:, or database." xor:"what" placeholder:"URL"`
	ToFile string `help:"File with that URL, for one with a password." xor:"what" type:"existingfile" placeholder:"FILE"`
	Abort  bool   `help:"Call the move off, as long as nothing has been moved." xor:"what"`
	Watch  bool   `help:"Wait for a move that is under way." xor:"what"`
}

// Help is shown by wafer session move --help.
func (sessionMove) Help() string {
	return "Nobody is signed out: while records move, both homes are read. A move that is interrupted goes on when a\n" +
		"server runs, or with --watch. Without flags it tells where sessions live.\n\n" +
		"Examples:\n  wafer session move\n  wafer session move --to redis://127.0.0.1:6379\n  wafer session move --to database"
}

// Run starts a move and shows how it goes.
func (c *sessionMove) Run(e *env) error {
	to, err := c.target()
	if err != nil {
		return err
	}
	return e.with(func(m *manager) error {
		var at manage.SessionMove
		switch {
		case to != "":
			err = m.call(http.MethodPost, "/session-move", manage.NewSessionMove{To: to}, &at)
		case c.Abort:
			err = m.call(http.MethodDelete, "/session-move", nil, &at)
		default:
			err = m.call(http.MethodGet, "/session-move", nil, &at)
		}
		if err != nil {
			return err
		}
		if to != "" || c.Watch {
			if at, err = e.follow(m, at); err != nil {
				return err
			}
		}
		return e.show(at, func() { e.say(moveText(at, to != "" || c.Watch)) })
	})
}

func (c *sessionMove) target() (string, error) {
	to := c.To
	if c.ToFile != "" {
		b, err := os.ReadFile(c.ToFile)
		if err != nil {
			return "", fmt.Errorf("read the new home: %w", err)
		}
		to = strings.TrimSpace(string(b))
	}
	if to == "" || to == manage.Database {
		return to, nil
	}
	p, err := config.ParsePlace(to) // paths are this terminal's, not the server's
	if err != nil {
		return "", fmt.Errorf("to %w", err)
	}
	return p.String(), nil
}

// follow waits until a move is done, and tells how far it is on the error output.
// A move that cannot go on at the moment is waited for as well.
func (e *env) follow(m *manager, at manage.SessionMove) (manage.SessionMove, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	stop := m.keepHouse()
	defer stop()
	last := ""
	for at.Stage != stageSettled {
		if text := progressText(at); text != last {
			fmt.Fprintln(e.err, text)
			last = text
		}
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return at, errors.New("stopped waiting; the move goes on when a server runs, or with wafer session move --watch")
		}
		at = manage.SessionMove{}
		if err := m.call(http.MethodGet, "/session-move", nil, &at); err != nil {
			return at, err
		}
	}
	return at, nil
}

const stageSettled = "settled"

func progressText(at manage.SessionMove) string {
	text := fmt.Sprintf("%s: %d moved, %d left", at.Stage, at.Moved, at.Left)
	if at.Stage == "announced" {
		text = "announced: every node reads both homes before the first record moves"
	}
	if at.Problem != "" {
		text += "; waiting: " + at.Problem
	}
	return text
}

func moveText(at manage.SessionMove, followed bool) string {
	switch {
	case at.Stage != stageSettled:
		return fmt.Sprintf("Sessions move from %s to %s. %s", at.From, at.To, progressText(at))
	case followed:
		return fmt.Sprintf("Sessions live in %s: %d moved, nobody was signed out.", at.From, at.Moved)
	}
	return "Sessions live in " + at.From + "."
}
