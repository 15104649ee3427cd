package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// newPassword reads a new password: one line of standard input, or, at a
// terminal, twice and unseen.
func (e *env) newPassword(stdin bool) (string, error) {
	if stdin {
		return firstLine(e.in)
	}
	f, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", errors.New("standard input is no terminal: use --password-stdin")
	}
	one, err := e.ask(f, "New password: ")
	if err != nil {
		return "", err
	}
	two, err := e.ask(f, "Again: ")
	if err != nil {
		return "", err
	}
	if one != two {
		return "", errors.New("the two passwords differ")
	}
	return one, nil
}

func (e *env) ask(f *os.File, prompt string) (string, error) {
	fmt.Fprint(e.err, prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(e.err)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(b), nil
}

// firstLine returns the first line of r without its line break.
func firstLine(r io.Reader) (string, error) {
	const most = 64 << 10
	line, err := bufio.NewReader(io.LimitReader(r, most)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("standard input is empty")
	}
	return line, nil
}
