package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// show prints facts: as JSON with --json, else with the given function.
func (e *env) show(facts any, plain func()) error {
	if !e.json {
		plain()
		return nil
	}
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(facts)
}

// table prints rows under a header, in columns that paste well.
func (e *env) table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
}

// say prints the fact, and below it what to do next.
func (e *env) say(fact string, hints ...string) {
	fmt.Fprintln(e.out, fact)
	for _, h := range hints {
		fmt.Fprintln(e.out, "  "+h)
	}
}

// errNoChange is the answer to an edit that names nothing to edit.
var errNoChange = errors.New("nothing to change\n  Name what to change with a flag; --help lists them")

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func printReport(e *env, file string, changes, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(e.err, "warning: %s: %s\n", file, w)
	}
	if len(changes) == 0 {
		fmt.Fprintf(e.out, "%s: nothing to change\n", file)
		return
	}
	for _, c := range changes {
		fmt.Fprintf(e.out, "%s: %s\n", file, c)
	}
}
