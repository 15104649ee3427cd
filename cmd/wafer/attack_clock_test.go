package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
)

// clockHouse is a server with a clock that the test turns.
type clockHouse struct {
	*running
	local *running // the management API, with every scope
	dir   string
	port  string
	close func()

	mu  sync.Mutex
	now time.Time
}

func newClockHouse(t *testing.T, users int) *clockHouse {
	t.Helper()
	return clockHouseSince(t, users, time.Now())
}

// clockHouseSince starts its clock at a time that may be long ago.
func clockHouseSince(t *testing.T, users int, now time.Time) *clockHouse {
	t.Helper()
	h := &clockHouse{dir: t.TempDir(), port: freePort(t), now: now, running: &running{t: t}, local: &running{t: t}}
	a := h.open()
	setup := write(t, h.dir, "setup.yaml", setupFor(t, users))
	if _, err := a.Apply(t.Context(), setup, []byte(setupFor(t, users))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.close() })
	return h
}

// open builds the server on the folder, as a start does.
func (h *clockHouse) open() *app.App {
	h.t.Helper()
	c := config.Config{Data: filepath.Join(h.dir, "data"), Listen: "127.0.0.1:" + h.port}.WithDefaults()
	a, err := app.New(h.t.Context(), app.Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: h.clock})
	if err != nil {
		h.t.Fatal(err)
	}
	public, local := httptest.NewUnstartedServer(a.Public()), httptest.NewServer(a.Local())
	public.Listener.Close()
	if public.Listener, err = net.Listen("tcp", c.Listen); err != nil {
		h.t.Fatal(err)
	}
	public.Start()
	h.url, h.local.url = c.Issuer, local.URL
	h.close = sync.OnceFunc(func() {
		public.Close()
		local.Close()
		if err := a.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return a
}

// later lets time pass once the uses of sessions so far are written: they are
// written behind, and at a stop at the latest.
func (h *clockHouse) later(d time.Duration) {
	h.t.Helper()
	h.restart()
	h.forward(d)
}

func (h *clockHouse) restart() {
	h.t.Helper()
	h.close()
	h.open()
}

func (h *clockHouse) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *clockHouse) forward(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// SESS-007
func TestSessionUnusedForTooLongIsDead(t *testing.T) {
	t.Parallel()
	h := newClockHouse(t, 1)
	v := h.visit(person(0))
	h.forward(12*time.Hour - time.Minute)
	h.must(http.StatusOK, get("/session", v.in()))
	h.later(12*time.Hour - time.Minute) // the last use counted
	last := h.must(http.StatusOK, refreshing(v.refresh))
	h.later(12*time.Hour - time.Minute) // so did the refresh
	h.must(http.StatusOK, get("/session", v.in()))
	h.later(12*time.Hour + time.Second)
	h.dead(visitor{login: v.login, cookie: v.cookie, access: last.str("access_token"), refresh: last.str("refresh_token")}, nil)
	h.lively(h.visit(person(0)), nil)
}

// SESS-007, REFRESH-009
func TestActivityDoesNotMoveTheAbsoluteLimit(t *testing.T) {
	t.Parallel()
	h := newClockHouse(t, 1)
	v := h.visit(person(0))
	end := h.clock().Add(7 * 24 * time.Hour)
	for h.clock().Add(6 * time.Hour).Before(end) {
		h.later(6 * time.Hour)
		h.must(http.StatusOK, get("/session", v.in()))
		v.refresh = h.must(http.StatusOK, refreshing(v.refresh)).str("refresh_token")
	}
	h.later(end.Sub(h.clock()) - time.Minute)
	tokens := h.must(http.StatusOK, swapping(v, ordersAPI))
	if left, _ := tokens.body["expires_in"].(float64); left > 60 {
		t.Errorf("a token is to live %v s, past its session", left)
	}
	v.access = tokens.str("access_token")
	v.refresh = h.must(http.StatusOK, refreshing(v.refresh)).str("refresh_token")
	h.forward(time.Minute)
	h.dead(v, nil)
	h.lively(h.visit(person(0)), nil)
}

func TestExpiredTokenIsRefused(t *testing.T) {
	t.Parallel()
	h := newClockHouse(t, 1)
	v := h.visit(person(0))
	swapped := h.must(http.StatusOK, swapping(v, ordersAPI))
	opaque := h.must(http.StatusOK, swapping(v, mailAPI))
	own := h.must(http.StatusOK, formOf("/oauth/token", fields("grant_type", "client_credentials", "client_id", "bystander", "client_secret", clientSecrets)))
	start := h.clock()
	for i, got := range []reply{swapped, opaque, own} {
		token, lifetime := got.str("access_token"), got.body["expires_in"].(float64)
		if lifetime > 300 || lifetime < 270 {
			t.Errorf("token %d lives %v s, want 5 minutes or up to a tenth less", i, lifetime)
		}
		end := start.Add(time.Duration(lifetime) * time.Second)
		h.forward(end.Add(-time.Second).Sub(h.clock()))
		if !h.active(token, "") {
			t.Errorf("token %d is not active a second before its end", i)
		}
		h.forward(2 * time.Second)
		if h.active(token, "") {
			t.Errorf("token %d is active a second after its end", i)
		}
		h.forward(start.Sub(h.clock()))
	}
	h.forward(10 * time.Minute)
	h.lively(h.visit(person(0)), nil)
}

func TestManagementTokenDiesWithItsTime(t *testing.T) {
	t.Parallel()
	h := newClockHouse(t, 0)
	token := h.manager()
	h.must(http.StatusOK, get("/api/v1/users", bearer(token)))
	h.forward(time.Hour)
	h.must(http.StatusUnauthorized, get("/api/v1/users", bearer(token)))
	h.must(http.StatusOK, get("/api/v1/users", bearer(h.manager())))
}

// manager signs the administrator in and returns a management token.
func (r *running) manager() string {
	r.t.Helper()
	in := map[string]string{"login": "root@example.com", "password": attackPhrase, "client_id": "console", "api": "management"}
	return r.must(http.StatusCreated, jsonOf(http.MethodPost, "/session", in)).str("access_token")
}
