package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
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
	ctx     context.Context
	data    string
	keyFile string
	json    bool
}

// run parses the arguments, runs the command and returns the exit status: 0 done,
// 1 refused or failed, 2 the command line is wrong.
func run(ctx context.Context, args []string, t terminal) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("wafer"), kong.Description(about), kong.UsageOnError(),
		kong.Writers(t.out, t.err), kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Configuration(yamlFlags), kong.DefaultEnvars("WAFER"),
	)
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
		fmt.Fprintf(t.err, "wafer: %v\nSee: wafer --help\n", err)
		return 2
	}
	err = parsed.Run(&env{terminal: t, ctx: ctx, data: cli.Data, keyFile: cli.KeyFile, json: cli.JSON})
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintf(t.err, "wafer: %v\n", err)
	return 1
}
