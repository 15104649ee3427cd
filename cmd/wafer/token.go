package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/manage"
)

type tokenCommands struct {
	Inspect tokenInspect `cmd:"" help:"Show what a token says and which check it fails."`
}

type tokenInspect struct {
	Token string `arg:"" optional:"" help:"The token. Default: one line of standard input, which leaves no trace in the shell's history."`
}

// Help is shown by wafer token inspect --help.
func (tokenInspect) Help() string {
	return "Example:\n  wafer token inspect < token.txt"
}

// Run inspects the token.
func (c *tokenInspect) Run(e *env) error {
	text := c.Token
	if text == "" || text == "-" {
		var err error
		if text, err = firstLine(e.in); err != nil {
			return err
		}
	}
	return e.with(func(m *manager) error {
		var out grant.Explanation
		if err := m.call(http.MethodPost, "/tokens/inspect", manage.TokenQuestion{Token: text}, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.explain(out) })
	})
}

func (e *env) explain(x grant.Explanation) {
	e.say("Kind: " + x.Kind)
	for _, part := range []struct {
		name string
		json json.RawMessage
	}{{"header", x.Header}, {"claims", x.Claims}} {
		if part.json == nil {
			continue
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, part.json, "  ", "  "); err != nil {
			continue
		}
		fmt.Fprintf(e.out, "%s\n  %s\n", part.name, pretty.String())
	}
	rows := make([][]string, 0, len(x.Checks))
	for _, c := range x.Checks {
		mark := "passed"
		if !c.OK {
			mark = "FAILED"
		}
		rows = append(rows, []string{c.Name, mark, orDash(c.Detail)})
	}
	e.table([]string{"CHECK", "RESULT", "DETAIL"}, rows)
}
