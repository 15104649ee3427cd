package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The commands that the demo prints are run here as they stand, in a shell.
func TestDemoTourWorksWhenPasted(t *testing.T) {
	t.Parallel()
	curl := needProgram(t, "curl")
	out, stop := startDemo(t)
	defer stop()
	script := "set -u\nPATH=" + filepath.Dir(curl) + ":$PATH\n" + strings.Join(tourOf(out), "\necho; echo ---\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := exec.CommandContext(ctx, "bash", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	parts := strings.Split(string(b), "---\n")
	if len(parts) != 7 {
		t.Fatalf("the tour has %d commands, want 7:\n%s", len(parts), b)
	}
	for i, want := range []string{
		`"access_token"`, `^\s*$`, `(?s)"orders".*"orders"`, `"refresh_token"`, `^\s*$`, `(?s)"error".*"error"`, `invalid_grant`,
	} {
		if !regexp.MustCompile(want).MatchString(parts[i]) {
			t.Errorf("command %d printed %q, want %s", i+1, parts[i], want)
		}
	}
	if strings.Contains(parts[5], `"orders"`) {
		t.Errorf("an order came after the logout: %s", parts[5])
	}
}

// startDemo runs `wafer serve --demo` and returns what it printed.
func startDemo(t *testing.T) (string, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done := &lockedBuffer{}, make(chan int, 1)
	args := []string{"serve", "--demo", "--listen", "127.0.0.1:" + freePort(t), "--log-level", "warn"}
	go func() { done <- run(ctx, args, terminal{in: strings.NewReader(""), out: out, err: out}) }()
	stop := func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("the demo ended with status %d\n%s", code, out)
		}
	}
	deadline := time.After(30 * time.Second)
	for !strings.Contains(out.String(), "call again") {
		select {
		case code := <-done:
			t.Fatalf("the demo ended early with status %d\n%s", code, out)
		case <-deadline:
			t.Fatalf("the demo is not up\n%s", out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return out.String(), stop
}

// tourOf returns the commands below the line that announces them.
func tourOf(out string) []string {
	_, tour, _ := strings.Cut(out, "another terminal:\n")
	var lines []string
	for line := range strings.Lines(tour) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
