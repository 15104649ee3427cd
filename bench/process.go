package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server of its own, so that its CPU time is its own too.
type process struct {
	cmd  *exec.Cmd
	url  string
	data string
}

func (p *process) stop() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		_ = p.cmd.Wait() // its exit status says nothing about the figures
	}
}

// cpu is the CPU time the process has used, user and system.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	rest := string(b[strings.LastIndexByte(string(b), ')')+2:])
	f := strings.Fields(rest)
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// rss is the resident memory in MiB.
func (p *process) rss() (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(value)[0])
			return float64(kb) / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}

// serveBare answers what a handler without any rules would.
func serveBare(address string) {
	fail(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	})))
}

func startBare() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, _, err := start(exec.Command(self, "bare", "127.0.0.1:"+port), "http://127.0.0.1:"+port, "/")
	return p, err
}

// build compiles the binary as it ships, once.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "wafer-bench-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "wafer")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/wafer")
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return out, cmd.Run()
})

const setup = `
apis:
  - {id: https://eddsa.example, token: {alg: EdDSA, lifetime: 1h}, scopes: [a:read]}
  - {id: https://hs256.example, token: {alg: HS256, lifetime: 1h}, scopes: [a:read]}
  - {id: https://es256.example, token: {alg: ES256, lifetime: 1h}, scopes: [a:read]}
  - {id: https://rs256.example, token: {alg: RS256, lifetime: 1h}, scopes: [a:read]}
  - {id: https://opaque.example, token: {format: opaque, lifetime: 1h}, scopes: [a:read]}
clients:
  - id: bench-web
    kind: public
    first_party: true
    grants: [refresh_token]
    apis: {https://eddsa.example: [a:read], https://opaque.example: [a:read]}
  - id: bench-service
    kind: confidential
    secret: bench-service-secret-for-this-run
    grants: [client_credentials]
    apis: {management: [sessions:check], https://eddsa.example: [a:read], https://es256.example: [a:read], https://hs256.example: [a:read], https://rs256.example: [a:read]}
  - id: bench-site
    kind: confidential
    secret: bench-service-secret-for-this-run
    first_party: true
    redirect_uris: ["http://127.0.0.1:9/callback"]
    grants: [authorization_code, refresh_token]
    apis: {https://eddsa.example: [a:read]}
    oauth: {consent: skip}
  - id: bench-site-eddsa
    kind: confidential
    secret: bench-service-secret-for-this-run
    first_party: true
    redirect_uris: ["http://127.0.0.1:9/callback"]
    grants: [authorization_code, refresh_token]
    apis: {https://eddsa.example: [a:read]}
    oauth: {consent: skip, id_token_signed_response_alg: EdDSA}
  - id: bench-page
    kind: public
    first_party: true
    redirect_uris: ["http://127.0.0.1:9/callback"]
    grants: [authorization_code, refresh_token]
    apis: {https://eddsa.example: [a:read]}
    oauth: {consent: skip}
  - {id: bench-guard, kind: confidential, secret: bench-guard-secret-for-this-run, grants: [client_credentials], apis: {management: ["sessions:check", "feed:read"]}}
  - {id: bench-admin, kind: confidential, secret: bench-admin-secret-for-this-run, grants: [client_credentials], apis: {management: ["sessions:revoke"]}}
roles:
  - {id: r, scopes: {https://eddsa.example: [a:read], https://opaque.example: [a:read]}}
users:
  - {login: bench@example.com, password: orange tricycle on the roof, roles: [r]}
`

func startWafer() (*process, error) {
	dir, err := os.MkdirTemp("", "wafer-bench-data-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "setup.yaml")
	if err := os.WriteFile(file, []byte(setup), 0o600); err != nil {
		return nil, err
	}
	p, _, err := wafer(filepath.Join(dir, "data"), "--apply", file)
	return p, err
}

func restart(data string) (*process, time.Duration, error) { return wafer(data) }

func wafer(data string, args ...string) (*process, time.Duration, error) {
	binary, err := build()
	if err != nil {
		return nil, 0, err
	}
	port, err := freePort()
	if err != nil {
		return nil, 0, err
	}
	all := append([]string{"--data", data, "serve", "--listen", "127.0.0.1:" + port, "--log-level", "warn"}, args...)
	p, took, err := start(exec.Command(binary, all...), "http://localhost:"+port, "/healthz")
	if err == nil {
		p.data = data
	}
	return p, took, err
}

// start runs a server and returns how long it took to its first 200.
func start(cmd *exec.Cmd, url, path string) (*process, time.Duration, error) {
	cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	p := &process{cmd: cmd, url: url}
	for time.Since(begin) < 20*time.Second {
		res, err := http.Get(url + path)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, time.Since(begin), nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	p.stop()
	return nil, 0, fmt.Errorf("%s does not answer", cmd.Path)
}

// seat is what a login gives.
type seat struct{ cookie, access, refresh, opaque string }

func (p *process) signIn() (seat, error) {
	a, cookie, err := p.login("https://eddsa.example")
	if err != nil {
		return seat{}, err
	}
	o, _, err := p.login("https://opaque.example")
	return seat{cookie: cookie, access: a.Access, refresh: a.Refresh, opaque: o.Access}, err
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (p *process) login(api string) (tokens, string, error) {
	body := `{"login":"bench@example.com","password":"orange tricycle on the roof","client_id":"bench-web","api":"` + api + `"}`
	res, err := http.Post(p.url+"/session", "application/json", strings.NewReader(body))
	if err != nil {
		return tokens{}, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		return tokens{}, "", fmt.Errorf("login: %s %s %v", res.Status, b, err)
	}
	var t tokens
	cookie := ""
	for _, c := range res.Cookies() {
		if c.Name == "__Host-Http-wafer" {
			cookie = c.Value
		}
	}
	return t, cookie, json.Unmarshal(b, &t)
}
