package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/wafer-auth/wafer/internal/pgtest"
	"github.com/wafer-auth/wafer/internal/redistest"
)

// databases is the PostgreSQL of these tests. TestMain ends it.
var databases pgtest.Process

// A cluster is nodes on one database behind a balancer that picks one at random
// for each request.
type cluster struct {
	*running // through the balancer
	nodes    []*child
	ports    []string
	args     []string
	dir      string
	cut      *cutter
}

// cutter counts the requests that a balancer had to give up, and makes errors of
// them: nobody knows what became of those.
type cutter struct {
	http.RoundTripper
	broken atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *cutter) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.RoundTripper.RoundTrip(r)
	if err == nil && res.StatusCode >= 500 && res.Header.Get("X-Request-Id") == "" {
		res.Body.Close()
		err = fmt.Errorf("the balancer answered %s", res.Status)
	}
	if err != nil {
		c.broken.Add(1)
	}
	return res, err
}

// newCluster starts so many nodes. place says where sessions live; "" is the
// database.
func newCluster(t *testing.T, nodes, users int, place string) *cluster {
	t.Helper()
	dir := t.TempDir()
	c := &cluster{dir: dir, cut: &cutter{RoundTripper: &http.Transport{MaxIdleConnsPerHost: 50}}}
	front := freePort(t)
	c.running = &running{t: t, url: "http://localhost:" + front, data: filepath.Join(dir, "data0"), way: c.cut}
	key := write(t, dir, "master.key", strings.Repeat("k", 32))
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	database, _ := databases.Database(t)
	c.args = []string{"--database", database, "--key-file", key, "--issuer", c.url, "--trusted-proxy", "127.0.0.1/32"}
	if place != "" {
		c.args = append(c.args, "--sessions", place)
	}
	setup := write(t, dir, "setup.yaml", setupFor(t, users))
	for i := range nodes {
		c.ports = append(c.ports, freePort(t))
		args := c.args
		if i == 0 {
			args = append(args[:len(args):len(args)], "--apply", setup)
		}
		c.nodes = append(c.nodes, serveChild(t, c.dataOf(i), c.ports[i], args...))
	}
	c.balance(front)
	return c
}

func (c *cluster) dataOf(i int) string { return filepath.Join(c.dir, fmt.Sprint("data", i)) }

// replace kills a node as a power cut would, and starts it again.
func (c *cluster) replace(i int) {
	c.t.Helper()
	c.nodes[i].kill()
	c.nodes[i] = serveChild(c.t, c.dataOf(i), c.ports[i], c.args...)
}

// node is a way around the balancer.
func (c *cluster) node(i int) *running {
	return &running{t: c.t, url: "http://localhost:" + c.ports[i], data: c.dataOf(i)}
}

var haproxyConf = template.Must(template.New("haproxy").Parse(`
global
    maxconn 500
defaults
    mode http
    timeout connect 500ms
    timeout client 30s
    timeout server 30s
    timeout check 3s
    retries 3
    option redispatch 1
    retry-on conn-failure
frontend front
    bind 127.0.0.1:{{.Front}}
    default_backend nodes
backend nodes
    balance random
    option httpchk GET /healthz
    option forwardfor
    default-server inter 100ms fall 2 rise 1
{{range .Ports}}    server n{{.}} 127.0.0.1:{{.}} check
{{end}}`))

// balance runs HAProxy in front of the nodes until the test ends.
func (c *cluster) balance(front string) {
	c.t.Helper()
	bin := needProgram(c.t, "haproxy", "/usr/sbin/haproxy")
	var conf bytes.Buffer
	if err := haproxyConf.Execute(&conf, struct {
		Front string
		Ports []string
	}{front, c.ports}); err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "-f", write(c.t, c.dir, "haproxy.cfg", conf.String()))
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed, and says so
	})
	for end := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		res, err := http.Get(c.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			c.t.Fatalf("the balancer is not ready: %v\n%s", err, &out)
		}
	}
}

// needProgram finds an installed program, or skips the test, loudly.
func needProgram(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s is not installed, and WAFER_REQUIRE_SERVICES=1", names[0])
	}
	t.Skipf("%s is not installed: what needs it is NOT tested here", names[0])
	return ""
}

// places are homes of sessions, each of its own.
func places(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	far, _ := databases.Database(t)
	return map[string]string{
		"memory": "memory:", "file": "file:" + filepath.Join(dir, "files"), "sqlite": "sqlite:" + filepath.Join(dir, "sessions.db"),
		"postgres": far, "redis": redistest.Start(t, redistest.Durable...).URL(), "database": "",
	}
}
