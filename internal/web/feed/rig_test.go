package feed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store/memory"
	surface "github.com/wafer-auth/wafer/internal/web/feed"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// clock is the real time: these tests speak over real connections.
func clock() time.Time { return time.Now() }

// rig is a server with the feed behind the real chain.
type rig struct {
	testing.TB
	url   string
	store *memory.Store
	hub   *feed.Hub
	stop  func() // the hub
	quiet *slog.Logger

	beat, timeout time.Duration // of the servers

	mu      sync.Mutex
	allowed map[string]bool
}

// newRig has servers whose time-outs are so short that tests come upon them.
func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOf(t, 100*time.Millisecond, 400*time.Millisecond)
}

func newRigOf(t testing.TB, beat, timeout time.Duration) *rig {
	t.Helper()
	g := &rig{
		TB: t, store: memory.New(), quiet: slog.New(slog.DiscardHandler), allowed: map[string]bool{"orders": true, "relay": true},
		beat: beat, timeout: timeout,
	}
	key, err := jose.Generate(jose.EdDSA, "feed-1")
	g.must(err)
	g.url = g.serve(func(url string) surface.Source {
		g.hub, err = feed.New(feed.Config{
			Store: g.store, Covered: g.store.Covered, Issuer: url, Node: "one", Now: clock, Log: g.quiet, Secret: revocation.Secret{7},
			Signer:       func() (*jose.Key, bool) { return key, true },
			Keys:         func() jose.KeySet { return jose.KeySet{key.Public()} },
			LeaseKey:     func(v string) []byte { return append(make([]byte, 0, 32), fmt.Sprintf("%32.32s", v)...) },
			Authenticate: g.authenticate,
		})
		g.must(err)
		return g.hub
	})
	g.stop = g.run(g.hub.Run)
	return g
}

func (g *rig) authenticate(_ context.Context, c feed.Credentials) (string, error) {
	if c.Secret != "secret & more" {
		return "", &grant.Error{Code: grant.InvalidClient, Description: "Client authentication failed."}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.allowed[c.ID] {
		return "", fault.New(fault.Forbidden, "This needs the scope feed:read.")
	}
	return c.ID, nil
}

// serve starts a server in front of a source.
func (g *rig) serve(source func(url string) surface.Source) (at string) {
	g.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	at = "http://" + l.Addr().String()
	mux := http.NewServeMux()
	surface.New(surface.Config{Source: source(at), Now: clock, Beat: g.beat, Log: g.quiet}).Mount(mux)
	chain, err := middleware.Chain(middleware.Config{
		Issuer: at, Bodies: map[string]int64{surface.LeasePath: surface.LeaseBody}, Log: g.quiet, Now: clock,
	}, mux)
	g.must(err)
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: chain, ReadTimeout: g.timeout, WriteTimeout: g.timeout}}
	s.Start()
	g.Cleanup(s.CloseClientConnections)
	return at
}

func (g *rig) run(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	g.Cleanup(stop)
	return stop
}

func (g *rig) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *rig) end(kind revoke.Kind, key string) int64 {
	g.Helper()
	seq, err := g.store.Record(g.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(kind, key, "test", clock())}})
	g.must(err)
	return seq
}

func (g *rig) config(at, name string) revocation.Config {
	return revocation.Config{
		Issuer: g.url, URL: at + "/feed", ClientID: "orders", ClientSecret: "secret & more", Name: name, Now: clock, Logger: g.quiet,
	}
}

func (g *rig) verifier(at, name string) *revocation.Feed {
	g.Helper()
	f, err := revocation.New(g.config(at, name))
	g.must(err)
	g.run(f.Run)
	g.await(name+" is ready", f.Ready())
	return f
}

func (g *rig) await(what string, c <-chan struct{}) {
	g.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		g.Fatalf("%s: not yet", what)
	}
}

// refused waits until a feed refuses a session.
func (g *rig) refused(f *revocation.Feed, sid string) {
	g.Helper()
	ended := make(chan struct{})
	stop := f.Watch(revocation.Subject{SessionID: sid}, 0, func() { close(ended) })
	defer stop()
	g.await(sid+" is refused", ended)
}

// answer is what the server said.
type answer struct {
	*http.Response
	body []byte
}

func (g *rig) send(method, path string, body any, change func(*http.Request)) answer {
	g.Helper()
	b, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		g.must(err)
		b = string(raw)
	}
	r, err := http.NewRequestWithContext(g.Context(), method, g.url+path, strings.NewReader(b))
	g.must(err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	plain := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	res, err := plain.RoundTrip(r)
	g.must(err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	g.must(err)
	return answer{res, raw}
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func bearer(ticket string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+ticket) }
}

func (g *rig) registered() revocation.Registered {
	g.Helper()
	a := g.send("POST", "/feed/register", revocation.Registration{Name: "v"}, basic("orders", "secret & more"))
	if a.StatusCode != http.StatusOK {
		g.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	var out revocation.Registered
	g.must(json.Unmarshal(a.body, &out))
	return out
}
