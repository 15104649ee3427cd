package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/doctor"
)

type doctorCommand struct {
	URL           string `arg:"" name:"url" help:"The issuer, as people and services write it: scheme://host[:port]."`
	CA            string `name:"ca" help:"File with the certificate of a development authority, as PEM." type:"existingfile" placeholder:"FILE"`
	Origin        string `help:"Origin of an application's pages, to see whether they may call." placeholder:"ORIGIN"`
	Login         string `help:"Sign this person in and out again, to see what becomes of the cookie." placeholder:"LOGIN"`
	PasswordFile  string `help:"File whose first line is the password." type:"existingfile" xor:"password" placeholder:"FILE"`
	PasswordStdin bool   `help:"Read the password from standard input." xor:"password"`
}

// Help is shown by wafer doctor --help.
func (doctorCommand) Help() string {
	return "Asks a running Wafer what browsers, API clients and proxies ask, and names each fault with its fix. " +
		"Changes nothing; with --login it begins a session and ends it again. " +
		"Sends nothing to any other host, and takes at most 30 seconds.\n\n" +
		"Exit status: 0 no fault, 1 a fault, 2 not reachable.\n\n" +
		"Examples:\n  wafer doctor https://id.example.com\n" +
		"  wafer doctor https://id.example.com --origin https://shop.example --login ada@example.com --password-file password.txt\n" +
		"  wafer doctor https://localhost:8443 --ca dev-ca.pem"
}

// Run examines the URL.
func (c *doctorCommand) Run(e *env) error {
	t, err := c.target(e)
	if err != nil {
		return err
	}
	r := doctor.Run(e.ctx, t)
	if err := e.ctx.Err(); err != nil {
		return err
	}
	if err := e.show(r, func() { e.diagnosis(r) }); err != nil {
		return err
	}
	faults := r.Count(doctor.Fail)
	switch {
	case r.Unreachable:
		return &endWith{2, fmt.Errorf("%s cannot be reached", r.Target)}
	case faults == 1:
		return errors.New("1 fault")
	case faults > 1:
		return fmt.Errorf("%d faults", faults)
	}
	return nil
}

func (c *doctorCommand) target(e *env) (doctor.Target, error) {
	t := doctor.Target{URL: c.URL, Origin: c.Origin, Login: c.Login, Now: time.Now}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return t, fmt.Errorf("read authority: %w", err)
		}
		if t.CA, err = doctor.Roots(pem); err != nil {
			return t, fmt.Errorf("%s: %w", c.CA, err)
		}
	}
	given := c.PasswordFile != "" || c.PasswordStdin
	if given != (c.Login != "") {
		return t, errors.New("a login and its password go together\n  Give --login, and --password-file or --password-stdin")
	}
	var err error
	switch {
	case c.PasswordStdin:
		t.Password, err = firstLine(e.in)
	case c.PasswordFile != "":
		t.Password, err = firstLineOf(c.PasswordFile)
	}
	return t, err
}

func firstLineOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	defer f.Close()
	line, err := firstLine(f)
	if err != nil {
		return "", fmt.Errorf("%s has no password in its first line", file)
	}
	return line, nil
}

// diagnosis prints one line a check: faults first, each with its fix below.
func (e *env) diagnosis(r doctor.Report) {
	worstFirst := []doctor.Status{doctor.Fail, doctor.Warn, doctor.OK, doctor.Skip}
	words := map[doctor.Status]string{doctor.Fail: "FAULT", doctor.Warn: "warn", doctor.OK: "ok", doctor.Skip: "skip"}
	checks := slices.Clone(r.Checks)
	slices.SortStableFunc(checks, func(a, b doctor.Check) int {
		return slices.Index(worstFirst, a.Status) - slices.Index(worstFirst, b.Status)
	})
	wide := 0
	for _, c := range checks {
		wide = max(wide, len(c.ID))
	}
	for _, c := range checks {
		line := fmt.Sprintf("%-5s  %-*s  %s", words[c.Status], wide, c.ID, c.Title)
		if c.Found != "" {
			line += ": " + c.Found
		}
		fmt.Fprintln(e.out, line)
		if c.Fix != "" {
			fmt.Fprintf(e.out, "%s  Fix: %s\n", strings.Repeat(" ", 5), c.Fix)
		}
	}
	fmt.Fprintf(e.out, "%d checks: %d fault(s), %d warning(s), %d ok, %d skipped.\n",
		len(checks), r.Count(doctor.Fail), r.Count(doctor.Warn), r.Count(doctor.OK), r.Count(doctor.Skip))
}

// endWith is an error with an exit status of its own.
type endWith struct {
	code int
	error
}

// Unwrap returns the error itself.
func (e *endWith) Unwrap() error { return e.error }
