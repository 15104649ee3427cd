package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Need returns the path of a program. Without it the test is skipped loudly, or fails
// where nothing may be skipped.
func Need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(t, program+" is not installed")
	}
	return path
}

// Missing skips a test loudly, or fails it where nothing may be skipped.
func Missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
		t.Fatal(what + ", and WAFER_REQUIRE_SERVICES=1")
	}
	t.Skip(what + ": real clients are NOT tested here")
}

// Packages is the folder of the npm Packages. They are installed by scripts/npm.
func Packages(t *testing.T) string {
	t.Helper()
	Need(t, "node")
	dir := filepath.Join(root(), "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		Missing(t, "the npm packages are not installed (npm ci in clients/node)")
	}
	return dir
}

// Free is an address of this machine where nobody listens.
func Free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// tail is the output of a program, for messages.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Start runs a program until the test ends, and waits until url answers.
func Start(t *testing.T, cmd *exec.Cmd, url string) *tail {
	t.Helper()
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), out)
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		if answers(t.Context(), url) {
			return out
		}
		select {
		case <-done:
			t.Fatalf("%s ended:\n%s", filepath.Base(cmd.Path), out)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer at %s:\n%s", filepath.Base(cmd.Path), url, out)
		}
	}
}

func answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// root is the folder of this module.
func root() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		panic("no source")
	}
	return filepath.Dir(filepath.Dir(file))
}

// programs is where what is built goes. The folder goes with the machine's temporary
// files.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "wafer-clients-") })

// built builds a program of the server's module.
func built(name, folder string) (string, error) {
	dir, err := programs()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", binary, folder)
	cmd.Dir = filepath.Join(root(), "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// What runs is built once.
var (
	build       = sync.OnceValues(func() (string, error) { return built("wafer", "./cmd/wafer") })
	buildOrders = sync.OnceValues(func() (string, error) { return built("orders", "./examples/orders") })
)

// Orders starts the example API for a server, with the client orders-api and ES256, and
// returns its address.
func Orders(t *testing.T, issuer, secretFile string) string {
	t.Helper()
	binary, err := buildOrders()
	if err != nil {
		t.Fatal(err)
	}
	address := Free(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://localhost:" + port
	Start(t, exec.Command(binary, "--listen", address, "--issuer", issuer, "--client", "orders-api", "--secret-file", secretFile, "--algorithm", "ES256"), base+"/healthz")
	return base
}

// Serve starts the server with a set-up, and whatever else is to be said to it, and
// returns its issuer.
func Serve(t *testing.T, setup string, args ...string) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "setup.yaml")
	if err := os.WriteFile(file, []byte(setup), 0o600); err != nil {
		t.Fatal(err)
	}
	address := Free(t)
	issuer := "http://" + address
	all := append([]string{"serve", "--data", filepath.Join(t.TempDir(), "data"), "--listen", address, "--issuer", issuer, "--apply", file}, args...)
	Start(t, exec.Command(binary, all...), issuer+"/readyz")
	return issuer
}

// Control starts the other provider, told how in JSON, and returns its issuer.
func Control(t *testing.T, told map[string]any) string {
	t.Helper()
	dir := Packages(t)
	address := Free(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	told["port"] = port
	text, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "--no-deprecation", "control.mjs")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WAFER_CONTROL="+string(text))
	issuer := "http://" + address
	Start(t, cmd, issuer+"/.well-known/openid-configuration")
	return issuer
}

// Run runs a script of npm clients. It must end well.
func Run(t *testing.T, script string, s Setting) {
	t.Helper()
	dir := Packages(t)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--no-deprecation", "--no-warnings", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WAFER_CLIENT="+string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s as %s: %v\n%s", script, s.ClientID, err, out)
	}
	t.Logf("%s as %s:\n%s", script, s.ClientID, strings.TrimSpace(string(out)))
}
