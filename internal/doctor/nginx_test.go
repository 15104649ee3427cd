package doctor_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/doctor"
)

// documented returns the nginx configuration of docs/operations.md that has servers in
// it: what people copy is what runs here.
func documented(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var whole []string
	for _, part := range strings.Split(string(b), "```nginx\n")[1:] {
		conf, _, closed := strings.Cut(part, "```")
		if closed && strings.HasPrefix(conf, "server {") {
			whole = append(whole, conf)
		}
	}
	if len(whole) != 1 {
		t.Fatalf("docs/operations.md has %d configurations of nginx, not one", len(whole))
	}
	return whole[0]
}

func findNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
		t.Fatal("nginx is not installed, and WAFER_REQUIRE_SERVICES=1")
	}
	t.Skip("nginx is not installed: the documented configuration is NOT tested here")
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// swap replaces a part that must be there.
func swap(t *testing.T, conf, old, new string) string {
	t.Helper()
	if !strings.Contains(conf, old) {
		t.Fatalf("the configuration of docs/operations.md lacks %q", old)
	}
	return strings.ReplaceAll(conf, old, new)
}

// nginx runs a private instance with a server configuration, its ports and files
// replaced by our own, and returns its two addresses.
func (h *house) nginx(t *testing.T, conf, wafer string) (https, http80 string) {
	t.Helper()
	program, dir := findNginx(t), t.TempDir()
	https, http80 = freeAddress(t), freeAddress(t)
	conf = swap(t, conf, "listen 443 ssl", "listen "+https+" ssl")
	conf = swap(t, conf, "listen 80;", "listen "+http80+";")
	conf = swap(t, conf, "http://127.0.0.1:8080", wafer)
	conf = swap(t, conf, "/etc/ssl/id.example.com.pem", writeFile(t, dir, "cert.pem", h.good.pem()))
	conf = swap(t, conf, "/etc/ssl/id.example.com.key", writeFile(t, dir, "key.pem", h.good.keyPEM(t)))
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp.WriteString(kind + "_temp_path " + filepath.Join(dir, kind) + ";\n")
	}
	file := writeFile(t, dir, "nginx.conf", []byte("daemon off;\nmaster_process off;\nworker_processes 1;\nerror_log stderr warn;\npid "+
		filepath.Join(dir, "pid")+";\nevents {}\nhttp {\naccess_log off;\n"+temp.String()+conf+"}\n"))
	log := &lockedBuffer{}
	cmd := exec.Command(program, "-p", dir, "-c", file, "-e", "stderr")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed at the end
		close(over)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-over
		if t.Failed() {
			t.Logf("nginx says:\n%s", log)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		if c, err := net.Dial("tcp", https); err == nil {
			c.Close()
			return https, http80
		}
		select {
		case <-over:
			t.Fatalf("nginx ended early:\n%s", log)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen:\n%s", log)
		}
	}
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

func TestNginxAsDocumentedIsHealthyAndEachChangeIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	right := documented(t)
	untrusting := newWafer(t, func(c *config.Config) { c.TrustedProxies = nil })
	examine := func(t *testing.T, conf, wafer string) doctor.Report {
		target, _ := h.target(h.nginx(t, conf, wafer))
		return doctor.Run(t.Context(), target)
	}
	wantFine(t, examine(t, right, h.wafer))
	const host = "proxy_set_header Host $http_host;"
	const small = "proxy_pass http://127.0.0.1:8080; " + host + " proxy_buffer_size 512; proxy_buffers 4 512; proxy_busy_buffers_size 1k;"
	upstream := "upstream wafer { server " + strings.TrimPrefix(h.wafer, "http://") + "; }\n"
	for _, tt := range []struct {
		name, old, new string
		wafer          string
		before         string
		want           want
	}{
		{"Host not passed, upstream by address", host, "", h.wafer, "",
			want{id: "host.unknown", status: doctor.Fail, found: "takes it for its own", fix: host[:len(host)-1]}},
		{"Host not passed, upstream by name", host, "", "http://wafer", upstream,
			want{id: "host.own", status: doctor.Fail, found: "421", fix: host[:len(host)-1]}},
		{"address passed without trust", "", "", untrusting, "",
			want{id: "proxy.address", status: doctor.Fail, found: "takes the proxy", fix: "--trusted-proxy 127.0.0.1/32"}},
		{"address not passed", "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", "proxy_set_header X-Forwarded-For \"\";", h.wafer, "",
			want{id: "proxy.address", status: doctor.Fail, found: "takes the proxy", fix: "$proxy_add_x_forwarded_for"}},
		{"a stranger's address passed", "$proxy_add_x_forwarded_for", "$http_x_forwarded_for", h.wafer, "",
			want{id: "proxy.forged", status: doctor.Fail, found: "anybody", fix: "$proxy_add_x_forwarded_for", also: "proxy.address"}},
		{"cookie path rewritten", host, host + " proxy_cookie_path / /auth/;", h.wafer, "",
			want{id: "cookie.session", status: doctor.Fail, found: `"/auth/"`, fix: "proxy_cookie_path", also: "cookie.form cookie.back"}},
		{"cookie flags changed", host, host + " proxy_cookie_flags ~ nosecure samesite=none;", h.wafer, "",
			want{id: "cookie.session", status: doctor.Fail, found: "Secure is missing", fix: "proxy_cookie_flags", also: "cookie.form cookie.back"}},
		{"buffer too small for headers", "location / {", "location /login { " + small + " } location / {", h.wafer, "",
			want{id: "header.html", status: doctor.Fail, found: "502", fix: "proxy_buffer_size",
				also: "redirect.login cache.personal cookie.form"}},
		{"bodies too small", "client_max_body_size 2m;", "client_max_body_size 16k;", h.wafer, "",
			want{id: "limits.body", status: doctor.Fail, found: "60 KiB", fix: "client_max_body_size 2m"}},
		{"errors in its own words", host, host + " proxy_intercept_errors on; error_page 401 404 /sorry; ", h.wafer, "",
			want{id: "redirect.fetch", status: doctor.Fail, found: "404 text/html", fix: "Something before Wafer",
				also: "header.json header.missing cache.personal cors.answer cache.signedin cookie.end limits.headers issuer.answers"}},
		{"compressed", host, host + " gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1; gzip_http_version 1.0;", h.wafer, "",
			want{id: "cache.compression", status: doctor.Warn, found: `"gzip"`, fix: "gzip off"}},
		{"any origin", host, host + " add_header Access-Control-Allow-Origin * always;", h.wafer, "",
			want{id: "cors.stranger", status: doctor.Fail, found: `"*"`, fix: "add_header", also: "cors.session cors.token cors.answer"}},
		{"headers hidden", host, host + " proxy_hide_header Content-Security-Policy;", h.wafer, "",
			want{id: "header.html", status: doctor.Fail, found: "Content-Security-Policy", fix: "proxy_hide_header", also: "header.json header.missing"}},
		{"a circle", "location / {", "location /login { return 301 https://$host$request_uri; } location / {", h.wafer, "",
			want{id: "redirect.loop", status: doctor.Fail, found: "circle", fix: "port 80 only",
				also: "redirect.login header.html cache.personal cookie.form"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conf := right
			if tt.old != "" {
				conf = swap(t, conf, tt.old, tt.new)
			}
			tt.want.in(t, examine(t, tt.before+conf, tt.wafer))
		})
	}
}
