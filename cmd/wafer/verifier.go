package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type verifierCommands struct {
	List verifierList `cmd:"" default:"1" help:"List services that follow the revocation feed, with how far behind each is."`
}

type verifierList struct{}

// Help is shown by wafer verifier list --help.
func (verifierList) Help() string { return "Example:\n  wafer verifier list" }

// Run lists them.
func (verifierList) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.Verifiers
		if err := m.call(http.MethodGet, "/verifiers", nil, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			rows := make([][]string, 0, len(out.Verifiers))
			for _, v := range out.Verifiers {
				stale := "-"
				if v.StaleMS != nil {
					stale = fmt.Sprintf("%.0f ms", *v.StaleMS)
				}
				rows = append(rows, []string{v.Name, v.Kind, orDash(v.Audience), orDash(v.Client), strconv.FormatInt(v.Lag, 10), stale, v.State})
			}
			e.table([]string{"NAME", "KIND", "API", "CLIENT", "BEHIND", "STALE", "STATE"}, rows)
		})
	})
}
