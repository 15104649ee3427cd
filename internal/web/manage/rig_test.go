package manage_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/internal/web/manage"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	issuer = "https://auth.example"
	good   = "correct-horse-battery-staple"
)

// rig is the surface over real flows and a memory store.
type rig struct {
	moves    *mover
	t        *testing.T
	handler  http.Handler
	store    *memory.Store
	admin    *admin.Service
	grants   *grant.Service
	sessions *session.Keeper
	ring     *keyring.Ring
	logged   *strings.Builder
	mu       *sync.Mutex
	now      *time.Time
	hub      *feed.Hub
}

func (g rig) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *g.now
}

func (g rig) forward(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*g.now = g.now.Add(d)
}

func (g rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func newRig(t *testing.T) rig {
	t.Helper()
	start := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	g := rig{t: t, store: memory.New(), moves: &mover{at: manage.SessionMove{Stage: "settled", From: "the database"}}, mu: &sync.Mutex{}, now: &start, logged: &strings.Builder{}}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	g.must(err)
	g.ring, err = keyring.New(keyring.Config{Store: g.store, Seal: root.Derive("keys"), Now: g.clock})
	g.must(err)
	hasher, err := password.New(password.Config{
		Params: password.Params{Memory: 64, Time: 1, Threads: 1}, Workers: 2, Cost: time.Millisecond, Now: g.clock,
	})
	g.must(err)
	g.must(g.ring.Ensure(t.Context(), keyring.BuiltIn(keyring.ForFeed)))
	g.sessions = session.NewKeeper(g.store, session.DefaultLimits(), g.clock)
	secrets := root.Derive("client secrets")
	hub, err := feed.New(feed.Config{
		Store: g.store, Covered: g.store.Covered, Issuer: issuer, Node: "node-1", Now: g.clock, Log: slog.New(slog.DiscardHandler),
		Signer:       func() (*jose.Key, bool) { return g.ring.Signer(keyring.ForFeed) },
		Keys:         func() jose.KeySet { return g.ring.Published(keyring.ForFeed) },
		LeaseKey:     func(string) []byte { return make([]byte, revocation.LeaseKeySize) },
		Authenticate: func(_ context.Context, c feed.Credentials) (string, error) { return c.ID, nil },
	})
	g.must(err)
	g.hub = hub
	g.admin = admin.New(admin.Config{
		Store: g.store, Sessions: g.sessions, Keys: g.ring, Fleet: hub, Passwords: hasher, Secrets: secrets, Issuer: issuer, Now: g.clock,
	})
	g.grants = grant.New(grant.Config{
		Store: g.store, Log: g.store, Sessions: g.sessions, Keys: g.ring, Refresh: token.NewRefreshKey(root.Derive("refresh")),
		Secrets: secrets, Issuer: issuer, Now: g.clock,
	})
	g.must(g.admin.Seed(t.Context()))
	log := slog.New(slog.NewJSONHandler(&locked{mu: g.mu, w: g.logged}, nil))
	surface := manage.New(manage.Config{
		Issuer: issuer, Tokens: g.grants, Users: g.admin, Clients: g.admin, APIs: g.admin, Roles: g.admin, Keys: g.ring,
		Sessions: g.sessions, Setup: g.admin, Moves: g.moves, Logs: g.store, Messages: g.store, Feed: hub, Now: g.clock, Log: log,
	})
	mux := http.NewServeMux()
	surface.Mount(mux)
	g.handler, err = middleware.Chain(middleware.Config{
		Issuer: issuer, Log: log, Now: g.clock, Bodies: map[string]int64{manage.ApplyPath: manage.ApplyBody},
	}, mux)
	g.must(err)
	return g
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// robot returns a management access token that holds exactly these scopes.
func (g rig) robot(id string, scopes ...string) caller {
	g.t.Helper()
	c, secret, err := g.admin.AddClient(g.t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{
		ID: id, Kind: client.Confidential, Grants: []string{client.ClientCredentials}, APIs: map[string][]string{api.Management: scopes},
	}})
	g.must(err)
	found, err := g.grants.Authenticate(g.t.Context(), grant.Credentials{ID: c.ID, Secret: secret})
	g.must(err)
	tokens, err := g.grants.ClientCredentials(g.t.Context(), found, grant.Ask{API: api.Management})
	g.must(err)
	return caller{rig: g, token: tokens.AccessToken}
}

// person adds a user with these roles and returns their management token, as a
// first-party console gets it.
func (g rig) person(login string, roles ...string) (account.User, caller) {
	g.t.Helper()
	ctx := g.t.Context()
	u, err := g.admin.AddUser(ctx, admin.ByCLI(), admin.NewUser{Login: login, Password: good, Roles: roles})
	g.must(err)
	if _, found, _ := g.store.ClientByID(ctx, "console"); !found {
		_, _, err = g.admin.AddClient(ctx, admin.ByCLI(), admin.NewClient{Client: client.Client{
			ID: "console", Kind: client.Public, FirstParty: true, APIs: map[string][]string{api.Management: {"*"}},
		}})
		g.must(err)
	}
	_, _, tokens, err := g.grants.SignIn(ctx, u, session.Login{AMR: []string{"pwd"}}, grant.Ask{ClientID: "console"})
	g.must(err)
	return u, caller{rig: g, token: tokens.AccessToken}
}

// caller sends requests with one token, or over the local socket.
type caller struct {
	rig
	token string
	local bool
}

func (g rig) cli() caller { return caller{rig: g, local: true} }

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	body map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

func (a answer) items() []map[string]any {
	all, _ := a.body["items"].([]any)
	var rows []map[string]any
	for _, one := range all {
		row, _ := one.(map[string]any)
		rows = append(rows, row)
	}
	return rows
}

// send sends a value as JSON, a string as it stands, or nothing.
func (c caller) send(method, path string, body any) answer {
	c.t.Helper()
	text, isText := body.(string)
	if body != nil && !isText {
		raw, err := json.Marshal(body)
		c.must(err)
		text = string(raw)
	}
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(text))
	r.Host = "auth.example"
	if text != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.local {
		r = r.WithContext(manage.Local(r.Context()))
	}
	return c.do(r)
}

// do checks what must hold for every answer of this surface.
func (g rig) do(r *http.Request) answer {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	a := answer{ResponseRecorder: w}
	where := r.Method + " " + r.URL.String()
	if w.Code >= 500 {
		g.t.Errorf("%s: status %d %s", where, w.Code, w.Body)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil || w.Header().Get("Content-Type") != "application/json" {
			g.t.Errorf("%s: not JSON: %s", where, w.Body)
		}
	}
	h := w.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" || h.Get("Access-Control-Allow-Origin") != "" {
		g.t.Errorf("%s: headers %v", where, h)
	}
	return a
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.Code != status {
		t.Errorf("got %d %s, want %d", a.Code, a.Body, status)
	}
	return a
}

// mover is a move of sessions as the storage would make it.
type mover struct {
	mu   sync.Mutex
	at   manage.SessionMove
	told []string
}

func (m *mover) StartMove(_ context.Context, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if to == "redis://down" {
		return fault.New(fault.Invalid, "The new home of sessions, redis://down, cannot be used.")
	}
	m.told = append(m.told, "to "+to)
	m.at.Stage, m.at.To = "announced", to
	return nil
}

func (m *mover) AbortMove(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, "abort")
	m.at.Stage, m.at.To = "settled", ""
	return nil
}

func (m *mover) SessionMove(context.Context) (manage.SessionMove, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, nil
}
