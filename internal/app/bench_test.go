package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
)

const benchSetup = `
apis:
  - {id: "https://eddsa.example", token: {alg: EdDSA, lifetime: 1h}, scopes: ["a:read"]}
clients:
  - id: web
    kind: public
    first_party: true
    grants: [refresh_token]
    apis: {"https://eddsa.example": ["a:read"]}
  - id: service
    kind: confidential
    secret: bench-service-secret-for-this-run
    grants: [client_credentials]
    apis: {management: ["sessions:check"], "https://eddsa.example": ["a:read"]}
roles:
  - {id: r, scopes: {"https://eddsa.example": ["a:read"]}}
users:
  - {login: bench@example.com, password: orange tricycle on the roof, roles: [r]}
`

// bench is an installation, and somebody who is signed in.
type bench struct {
	b       *testing.B
	handler http.Handler
	cookie  string
	access  string
}

func newBench(b *testing.B) *bench {
	b.Helper()
	dir := b.TempDir()
	cfg := config.Config{Data: dir}.WithDefaults()
	a, err := app.New(context.Background(), app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.Close() })
	if _, err := a.Apply(context.Background(), filepath.Join(dir, "setup.yaml"), []byte(benchSetup)); err != nil {
		b.Fatal(err)
	}
	x := &bench{b: b, handler: a.Public()}
	w := x.ask("POST", "/session", "application/json", `{"login":"bench@example.com","password":"orange tricycle on the roof","client_id":"web","api":"https://eddsa.example"}`)
	var t struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &t); err != nil {
		b.Fatal(err)
	}
	for _, c := range w.Result().Cookies() {
		if c.Name == "__Host-Http-wafer" {
			x.cookie = c.Value
		}
	}
	x.access = t.Access
	return x
}

func (x *bench) ask(method, path, kind, body string) *httptest.ResponseRecorder {
	x.b.Helper()
	r := httptest.NewRequest(method, "http://localhost:8080"+path, strings.NewReader(body))
	r.RequestURI = path
	if kind != "" {
		r.Header.Set("Content-Type", kind)
		r.SetBasicAuth("service", "bench-service-secret-for-this-run")
	}
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, r)
	if w.Code >= 300 {
		x.b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w
}

// The cost of one request inside the server, without the network.
func BenchmarkRequests(b *testing.B) {
	x := newBench(b)
	const form = "application/x-www-form-urlencoded"
	for _, row := range []struct{ name, method, path, kind, body string }{
		{"discovery", "GET", "/.well-known/openid-configuration", "", ""},
		{"client_credentials", "POST", "/oauth/token", form, "grant_type=client_credentials&resource=https://eddsa.example"},
		{"introspect JWT", "POST", "/oauth/introspect", form, "token=" + x.access},
		{"introspect cookie", "POST", "/oauth/introspect", form, "token=" + x.cookie + "&api=https://eddsa.example"},
	} {
		b.Run(row.name, func(b *testing.B) {
			x.b = b
			b.ReportAllocs()
			for b.Loop() {
				x.ask(row.method, row.path, row.kind, row.body)
			}
		})
	}
}
