package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type drillCommand struct {
	Limit time.Duration `help:"Fail when the slowest verifier took longer." default:"1s" placeholder:"TIME"`
}

// Help is shown by wafer drill --help.
func (drillCommand) Help() string {
	return "A throwaway user is added, revoked like one who is banned, and removed. Each verifier tells when it refuses; the time is\n" +
		"from the revocation until the server has heard so. Exit status 1: a verifier took longer than the limit, or did not tell.\n\n" +
		"Examples:\n  wafer drill\n  wafer drill --limit 100ms --json"
}

// Run drills.
func (c *drillCommand) Run(e *env) error {
	if c.Limit <= 0 {
		return fmt.Errorf("the limit is %s: it must be more than nothing", c.Limit)
	}
	return e.with(func(m *manager) error {
		var out manage.Drill
		if err := m.call(http.MethodPost, "/drills", nil, &out); err != nil {
			return err
		}
		if err := e.show(out, func() { c.print(e, out) }); err != nil {
			return err
		}
		return c.judge(out)
	})
}

func (c *drillCommand) print(e *env, d manage.Drill) {
	if len(d.Verifiers) == 0 {
		e.say("No verifier follows the feed.", "A service follows it with verify.Config.Feed; see docs/revocation.md.")
		return
	}
	rows := make([][]string, 0, len(d.Verifiers))
	for _, v := range d.Verifiers {
		took := "did not tell"
		if v.RefusedMS != nil {
			took = fmt.Sprintf("%.1f ms", *v.RefusedMS)
		}
		rows = append(rows, []string{v.Name, orDash(v.Audience), orDash(v.Client), orDash(v.Policy), took})
	}
	e.table([]string{"VERIFIER", "API", "CLIENT", "POLICY", "REFUSED AFTER"}, rows)
	e.say(fmt.Sprintf("%d verifiers: p50 %.1f ms, p99 %.1f ms, slowest %.1f ms.", len(d.Verifiers), d.P50MS, d.P99MS, d.SlowestMS))
}

// judge is what the exit status says.
func (c *drillCommand) judge(d manage.Drill) error {
	for _, v := range d.Verifiers {
		if v.RefusedMS == nil {
			return fmt.Errorf("verifier %s did not tell that it refuses\n  It cannot accept any more since its lease has ended; see wafer verifier list", v.Name)
		}
	}
	if slowest := time.Duration(d.SlowestMS * float64(time.Millisecond)); slowest > c.Limit {
		return fmt.Errorf("the slowest verifier took %.1f ms: more than %s", d.SlowestMS, c.Limit)
	}
	return nil
}
