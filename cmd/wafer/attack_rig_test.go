package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	orders "github.com/wafer-auth/wafer/examples/orders/app"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// asWafer as the first argument makes this binary the command itself, so that a
// test can start it as a process of its own and kill it.
const asWafer = "as-wafer"

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if len(os.Args) == 4 && os.Args[1] == asOrders {
		err := serveOrders(ctx, os.Args[2], os.Args[3])
		stop()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if len(os.Args) < 2 || os.Args[1] != asWafer {
		stop() // tests are interrupted as always
		code := m.Run()
		databases.End()
		os.Exit(code)
	}
	code := run(ctx, os.Args[2:], terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// The cast of the attacks.
const (
	ordersAPI     = "https://orders.example"
	inventoryAPI  = "https://inventory.example"
	mailAPI       = "https://mail.example"
	attackPhrase  = "seven green bottles on a wall"
	clientSecrets = "a-client-secret-for-local-use"
)

const attackSetup = `
apis:
  - id: https://orders.example
    token: {format: jwt, alg: RS256, lifetime: 5m}
    scopes: [orders:read, orders:write]
  - id: https://inventory.example
    token: {format: jwt, alg: HS256, lifetime: 5m}
    scopes: [inventory:read]
  - id: https://mail.example
    token: {format: opaque, lifetime: 5m}
    scopes: [mail:read]
clients:
  - id: shop-web
    kind: public
    first_party: true
    redirect_uris: [http://localhost:3000/callback]
    origins: [http://localhost:3000]
    grants: [refresh_token]
    apis: {https://orders.example: [orders:read], https://inventory.example: [inventory:read], https://mail.example: [mail:read]}
  - {id: console, kind: public, first_party: true, redirect_uris: [http://localhost:3001/], grants: [refresh_token], apis: {management: ["*"]}}
  - {id: orders-api, kind: confidential, secret: SECRET, grants: [client_credentials], apis: {management: [sessions:check], https://inventory.example: [inventory:read]}, serves: [https://orders.example]}
  - {id: inventory-api, kind: confidential, secret: SECRET, grants: [client_credentials], apis: {management: [sessions:check]}, serves: [https://inventory.example]}
  - {id: watch, kind: confidential, secret: SECRET, grants: [client_credentials], apis: {management: [sessions:check]}}
  - {id: bystander, kind: confidential, secret: SECRET, grants: [client_credentials], apis: {https://inventory.example: [inventory:read]}}
roles:
  - {id: clerk, scopes: {https://orders.example: [orders:read], https://inventory.example: [inventory:read], https://mail.example: [mail:read]}}
users:
  - {login: root@example.com, roles: [clerk, admin], password_hash: "HASH"}
`

// setupFor is attackSetup with so many users, person(0) and on. They share one
// hash: hashing for each would be most of the time of a test.
func setupFor(t *testing.T, users int) string {
	t.Helper()
	h, err := password.New(password.Config{Now: time.Now, Cost: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.Hash(t.Context(), attackPhrase)
	if err != nil {
		t.Fatal(err)
	}
	text := attackSetup
	for i := range users {
		text += fmt.Sprintf("  - {login: %s, roles: [clerk], password_hash: \"HASH\"}\n", person(i))
	}
	return strings.NewReplacer("HASH", hash, "SECRET", clientSecrets).Replace(text)
}

func person(i int) string { return fmt.Sprintf("user%02d@example.com", i) }

// behindProxy lets a test say from which network a request comes.
var behindProxy = []string{"--trusted-proxy", "127.0.0.1/32"}

// besieged starts a server with the cast and so many users.
func besieged(t *testing.T, users int, args ...string) *running {
	t.Helper()
	dir := t.TempDir()
	setup := write(t, dir, "setup.yaml", setupFor(t, users))
	return serve(t, dir+"/data", append([]string{"--apply", setup}, args...)...)
}

// hit is a request as an attacker writes it.
type hit struct {
	method, path string
	host         string // "": as the URL says
	kind, body   string // content type and body
	header       [][2]string
}

func cookie(value string) [2]string { return [2]string{"Cookie", middleware.CookieName + "=" + value} }
func bearer(token string) [2]string { return [2]string{"Authorization", "Bearer " + token} }
func from(address string) [2]string { return [2]string{"X-Forwarded-For", address} }

func get(path string, header ...[2]string) hit {
	return hit{method: http.MethodGet, path: path, header: header}
}

// jsonOf sends v, or the text itself when it is one.
func jsonOf(method, path string, v any, header ...[2]string) hit {
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		text = string(b)
	}
	return hit{method: method, path: path, kind: "application/json", body: text, header: header}
}

func formOf(path, body string, header ...[2]string) hit {
	return hit{method: http.MethodPost, path: path, kind: "application/x-www-form-urlencoded", body: body, header: header}
}

// fields encodes pairs of names and values.
func fields(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func refreshing(text string, header ...[2]string) hit {
	return formOf("/oauth/token", fields("grant_type", "refresh_token", "client_id", "shop-web", "refresh_token", text), header...)
}

// through sends a hit on a transport. It may be called from any goroutine.
func (r *running) through(rt http.RoundTripper, h hit) (reply, error) {
	req, err := http.NewRequestWithContext(context.Background(), h.method, r.url+h.path, strings.NewReader(h.body))
	if err != nil {
		return reply{}, err
	}
	if h.body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Host = h.host
	if h.kind != "" {
		req.Header.Set("Content-Type", h.kind)
	}
	for _, pair := range h.header {
		req.Header.Add(pair[0], pair[1])
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{Response: res, text: string(b)}
	if h.method != http.MethodHead && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		d := json.NewDecoder(bytes.NewReader(b))
		if err := d.Decode(&out.body); err != nil {
			return out, fmt.Errorf("%s %s: %w in %s", h.method, h.path, err, b)
		}
	}
	return out, nil
}

// fire sends a hit on a shared connection.
func (r *running) fire(h hit) (reply, error) {
	if r.way != nil {
		return r.through(r.way, h)
	}
	return r.through(http.DefaultTransport, h)
}

// alone sends a hit on a connection of its own.
func (r *running) alone(h hit) (reply, error) {
	return r.through(&http.Transport{DisableKeepAlives: true}, h)
}

// must sends a hit that has to be answered with this status.
func (r *running) must(status int, h hit) reply {
	r.t.Helper()
	res, err := r.fire(h)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode != status {
		r.t.Fatalf("%s %s: status %d, want %d: %s", h.method, h.path, res.StatusCode, status, res.text)
	}
	return res
}

// visitor is somebody who has signed in, with everything the login gave.
type visitor struct {
	login, cookie, device, sid, user string
	access, refresh                  string
}

func (v visitor) in() [2]string { return cookie(v.cookie) }

// enter signs somebody in for the orders API. A busy server is asked again: this
// machine may be doing something else.
func (r *running) enter(login, phrase string, header ...[2]string) (visitor, error) {
	in := map[string]string{"login": login, "password": phrase, "client_id": "shop-web", "api": ordersAPI}
	var res reply
	for end := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		var err error
		if res, err = r.fire(jsonOf(http.MethodPost, "/session", in, header...)); err != nil {
			return visitor{}, err
		}
		if res.StatusCode != http.StatusServiceUnavailable || time.Now().After(end) {
			break
		}
	}
	if res.StatusCode != http.StatusCreated {
		return visitor{}, fmt.Errorf("sign in %s: status %d: %s", login, res.StatusCode, res.text)
	}
	v := visitor{login: login, access: res.str("access_token"), refresh: res.str("refresh_token")}
	for _, c := range res.Cookies() {
		switch c.Name {
		case middleware.CookieName:
			v.cookie = c.Value
		case middleware.DeviceCookieName:
			v.device = c.Value
		}
	}
	if s, ok := res.body["session"].(map[string]any); ok {
		v.sid, _ = s["id"].(string)
		v.user, _ = s["user"].(string)
	}
	if v.cookie == "" || v.access == "" || v.refresh == "" || v.sid == "" || v.user == "" {
		return v, errors.New("a part of the login is missing: " + res.text)
	}
	return v, nil
}

func (r *running) visit(login string, header ...[2]string) visitor {
	r.t.Helper()
	v, err := r.enter(login, attackPhrase, header...)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func swapping(v visitor, api string) hit {
	return jsonOf(http.MethodPost, "/session/token", map[string]string{"client_id": "shop-web", "api": api}, v.in())
}

// asking is an introspection by watch, which may ask about everything.
func asking(token, api string) hit {
	return formOf("/oauth/introspect", fields("token", token, "api", api, "client_id", "watch", "client_secret", clientSecrets))
}

func (r *running) active(token, api string) bool {
	r.t.Helper()
	is, _ := r.must(http.StatusOK, asking(token, api)).body["active"].(bool)
	return is
}

// ordersService starts the example service on this server's credentials.
func (r *running) ordersService() *running {
	r.t.Helper()
	h, err := orders.New(orders.Config{
		Issuer: r.url, Audience: ordersAPI, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: clientSecrets,
		Stale: "degrade", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	s := httptest.NewServer(h)
	r.t.Cleanup(s.Close)
	return &running{t: r.t, url: s.URL}
}

// storm makes n calls as close to each other as the machine allows, and waits for
// all of them.
func storm(n int, do func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

// findings collects from many goroutines what must not be.
type findings struct {
	mu  sync.Mutex
	all []string
}

func (f *findings) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, fmt.Sprintf(format, args...))
}

// report fails the test with the first few.
func (f *findings) report(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range f.all[:min(5, len(f.all))] {
		t.Error(text)
	}
	if more := len(f.all) - 5; more > 0 {
		t.Errorf("and %d more", more)
	}
}

// dead reports every way in which something of a visitor still works.
func (r *running) dead(v visitor, service *running) {
	r.t.Helper()
	if r.active(v.access, "") || r.active(v.cookie, ordersAPI) {
		r.t.Errorf("access token or cookie of %s is active", v.login)
	}
	if service != nil {
		service.must(http.StatusUnauthorized, get("/orders", v.in()))
		service.must(http.StatusUnauthorized, get("/orders", bearer(v.access)))
	}
	// The refresh token comes last: an old one would end the session here and now.
	for _, h := range []hit{
		get("/session", v.in()), get("/sessions", v.in()), get("/account", v.in()), swapping(v, ordersAPI), refreshing(v.refresh),
	} {
		res, err := r.fire(h)
		if err != nil {
			r.t.Error(err)
			continue
		}
		if res.StatusCode/100 == 2 || res.str("access_token") != "" {
			r.t.Errorf("%s %s of %s still works: %d %s", h.method, h.path, v.login, res.StatusCode, res.text)
		}
	}
}

// lively fails unless everything of a visitor works. It returns the visitor with
// the refresh token that is current now.
func (r *running) lively(v visitor, service *running) visitor {
	r.t.Helper()
	r.must(http.StatusOK, get("/session", v.in()))
	r.must(http.StatusOK, swapping(v, ordersAPI))
	v.refresh = r.must(http.StatusOK, refreshing(v.refresh)).str("refresh_token")
	if !r.active(v.access, "") || !r.active(v.cookie, ordersAPI) {
		r.t.Fatalf("access token or cookie of %s is not active", v.login)
	}
	if service != nil {
		service.must(http.StatusOK, get("/orders", v.in()))
		service.must(http.StatusOK, get("/orders", bearer(v.access)))
	}
	return v
}
