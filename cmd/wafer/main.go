package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/wafer-auth/wafer/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// terminal is where a command reads and writes.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// env is what every command is given.
type env struct {
	terminal
	ctx                context.Context
	data               string
	keyFile            string
	database, sessions string // URLs
	json               bool
}

// run parses the arguments, runs the command and returns the exit status: 0 done,
// 1 refused or failed, 2 the command line is wrong, or what endWith says.
func run(ctx context.Context, args []string, t terminal) int {
	var cli commands
	exit := -1
	parser, err := newParser(&cli, t, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(t.err, "wafer:", err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help and --version print and stop
	}
	if err != nil {
		fmt.Fprintf(t.err, "wafer: %v\n  See: %s --help\n", err, asked(err))
		return 2
	}
	err = parsed.Run(&env{terminal: t, ctx: ctx, data: cli.Data, keyFile: cli.KeyFile, database: cli.Database, sessions: cli.Sessions, json: cli.JSON})
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("stopped before it was done")
	}
	fmt.Fprintf(t.err, "wafer: %v\n", err)
	if next := hint(err); next != "" {
		fmt.Fprintln(t.err, "  "+next)
	}
	if end := new(endWith); errors.As(err, &end) {
		return end.code
	}
	return 1
}

// newParser reads command lines into cli. exit is called by --help and --version.
func newParser(cli *commands, t terminal, exit func(int)) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("wafer"), kong.Description(about), kong.Vars{"version": version()},
		kong.Writers(t.out, t.err), kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Configuration(yamlFlags), kong.PostBuild(environment),
	)
}

// environment lets WAFER_<NAME> stand for the flags of serve and for those that
// all commands share. For the others it must not: a WAFER_USER that is set for
// something else would choose whom wafer revoke signs out.
func environment(k *kong.Kong) error {
	flags := k.Model.Flags
	for _, cmd := range k.Model.Children {
		if cmd.Name == "serve" {
			flags = append(flags[:len(flags):len(flags)], cmd.Flags...)
		}
	}
	for _, f := range flags {
		if f.Name == "help" || f.Name == "version" {
			continue
		}
		f.Envs = []string{"WAFER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))}
		f.Value.Tag.Envs = f.Envs
	}
	return nil
}

// asked is as much of the command line as was understood.
func asked(err error) string {
	var p *kong.ParseError
	if !errors.As(err, &p) || p.Context == nil {
		return "wafer"
	}
	name := "wafer"
	for _, part := range p.Context.Path {
		if part.Command != nil {
			name += " " + part.Command.Name
		}
	}
	return name
}

// hint is what to do about an error that does not say so itself.
func hint(err error) string {
	if errors.Is(err, app.ErrLocked) {
		return "Stop it first, or name another folder with --data."
	}
	var r *refusal
	if !errors.As(err, &r) {
		return ""
	}
	switch r.Message {
	case "No such API.", "No such client.", "No such key.", "No such role.", "No such user.":
		what := strings.TrimSuffix(strings.TrimPrefix(r.Message, "No such "), ".")
		return "See: wafer " + strings.ToLower(what) + " list"
	case "There is no such session.":
		return "See: wafer session list --user USER"
	}
	return ""
}
