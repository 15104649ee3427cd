package main

import (
	"bytes"
	"context"
	"encoding/json"

	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// wafer runs one command to its end.
func wafer(t *testing.T, in string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, terminal{in: strings.NewReader(in), out: &out, err: &errs})
	return out.String(), errs.String(), code
}

// mustWafer runs one command that must succeed and returns what it printed.
func mustWafer(t *testing.T, in string, args ...string) string {
	t.Helper()
	out, errs, code := wafer(t, in, args...)
	if code != 0 {
		t.Fatalf("wafer %s: exit status %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// running is a server in this process, as `wafer serve` runs it.
type running struct {
	t    *testing.T
	url  string
	data string
	stop func()
	out  *lockedBuffer
	way  http.RoundTripper // how requests get there; nil: over shared connections
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serve runs `wafer serve` on a free port until the test ends or stop is called.
func serve(t *testing.T, data string, args ...string) *running {
	t.Helper()
	port := freePort(t)
	return serveOn(t, data, port, args...)
}

func serveOn(t *testing.T, data, port string, args ...string) *running {
	t.Helper()
	r := &running{t: t, url: "http://localhost:" + port, data: data, out: &lockedBuffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	all := append([]string{"--data", data, "serve", "--listen", "127.0.0.1:" + port, "--log-level", "warn"}, args...)
	go func() {
		done <- run(ctx, all, terminal{in: strings.NewReader(""), out: r.out, err: r.out})
	}()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if code := <-done; code != 0 {
				t.Errorf("serve ended with status %d\n%s", code, r.out)
			}
		})
	}
	t.Cleanup(r.stop)
	for deadline := time.Now().Add(20 * time.Second); ; {
		res, err := http.Get(r.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return r
			}
		}
		select {
		case code := <-done:
			once.Do(func() {})
			t.Fatalf("serve ended early with status %d\n%s", code, r.out)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("serve is not ready\n%s", r.out)
		}
	}
}

// ask is one request.
type ask struct {
	method, path string
	cookie       string
	bearer       string
	basic        [2]string
	json         any
	form         map[string]string
}

// reply is its answer.
type reply struct {
	*http.Response
	text string
	body map[string]any
}

func (r *running) do(a ask) reply {
	r.t.Helper()
	var body io.Reader
	kind := ""
	switch {
	case a.json != nil:
		b, err := json.Marshal(a.json)
		if err != nil {
			r.t.Fatal(err)
		}
		body, kind = bytes.NewReader(b), "application/json"
	case a.form != nil:
		v := make([]string, 0, len(a.form))
		for k, x := range a.form {
			v = append(v, k+"="+strings.NewReplacer("%", "%25", "+", "%2B", "&", "%26", " ", "+").Replace(x))
		}
		body, kind = strings.NewReader(strings.Join(v, "&")), "application/x-www-form-urlencoded"
	}
	url := a.path
	if strings.HasPrefix(url, "/") {
		url = r.url + url
	}
	req, err := http.NewRequest(a.method, url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if a.cookie != "" {
		req.Header.Set("Cookie", "__Host-Http-wafer="+a.cookie)
	}
	if a.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+a.bearer)
	}
	if a.basic[0] != "" {
		req.SetBasicAuth(a.basic[0], a.basic[1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	out := reply{Response: res, text: string(b)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(b, &out.body); err != nil {
			r.t.Fatalf("%s %s: %v in %s", a.method, a.path, err, b)
		}
	}
	return out
}

func (r *running) want(status int, a ask) reply {
	r.t.Helper()
	res := r.do(a)
	if res.StatusCode != status {
		r.t.Fatalf("%s %s: status %d, want %d: %s", a.method, a.path, res.StatusCode, status, res.text)
	}
	return res
}

func (r reply) str(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// cookieOf returns the session cookie that an answer sets.
func (r reply) cookieOf(t *testing.T) *http.Cookie {
	t.Helper()
	for _, c := range r.Cookies() {
		if c.Name == "__Host-Http-wafer" {
			return c
		}
	}
	t.Fatal("no session cookie is set")
	return nil
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
