package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	orders "github.com/wafer-auth/wafer/examples/orders/app"
	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// relayed starts a relay of a server, until stop is called or the test ends.
func relayed(t *testing.T, of string) (url string, stop func()) {
	t.Helper()
	port := freePort(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	out := &lockedBuffer{}
	args := []string{"relay", "--of", of, "--client", "orders-api", "--secret-file", write(t, t.TempDir(), "secret", clientSecrets+"\n"),
		"--listen", "127.0.0.1:" + port, "--log-level", "error"}
	go func() {
		defer close(done)
		if code := run(ctx, args, terminal{in: strings.NewReader(""), out: out, err: out}); code != 0 {
			t.Errorf("relay ended with status %d: %s", code, out)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	url = "http://localhost:" + port
	eventually(t, "ready: the relay", func() bool {
		res, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return url, stop
}

// followingOrders is the example service under strict, behind a relay.
func followingOrders(t *testing.T, issuer, relay string) *running {
	t.Helper()
	c := orders.Config{
		Issuer: issuer, Audience: ordersAPI, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: clientSecrets,
		Stale: verify.Strict.String(), Logger: slog.New(slog.DiscardHandler),
	}
	var err error
	c.Feed, err = revocation.New(revocation.Config{
		Issuer: issuer, URL: relay + "/feed", ClientID: c.ClientID, ClientSecret: c.ClientSecret, Name: "behind a relay", Logger: c.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Feed.Run(ctx) // nil: it runs once
	}()
	t.Cleanup(func() { cancel(); <-done })
	h, err := orders.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &running{t: t, url: s.URL}
}

// A revocation is felt through a relay, FLEET waits for who is behind it, and a
// relay that is gone, or cut off, leaves nobody accepting what nobody knows.
func TestRelayPassesTheFeedOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := strings.Replace(setupFor(t, 3), "{management: [sessions:check], https://inventory", "{management: [sessions:check, feed:read], https://inventory", 1)
	data, port := filepath.Join(dir, "data"), freePort(t)
	setup := write(t, dir, "setup.yaml", text)
	r := serveOn(t, data, port, "--apply", setup)
	relay, stop := relayed(t, r.url)
	service := followingOrders(t, r.url, relay)
	banned, stays := r.visit(person(0)), r.visit(person(1))
	eventually(t, "fresh: the service", func() bool {
		res, err := service.fire(get("/orders", bearer(banned.access)))
		return err == nil && res.StatusCode == http.StatusOK
	})
	service.must(http.StatusOK, get("/orders", stays.in()))
	mustWafer(t, "", "--data", r.data, "revoke", "--user", person(0), "--ack", "fleet")
	service.must(http.StatusUnauthorized, get("/orders", bearer(banned.access)))
	service.must(http.StatusOK, get("/orders", bearer(stays.access)))
	if list := mustWafer(t, "", "--data", r.data, "verifier", "list"); !strings.Contains(list, "behind a relay") || !strings.Contains(list, "relay ") {
		t.Errorf("the server does not know of them:\n%s", list)
	}
	stop()
	eventually(t, "refusing without the relay", func() bool {
		return service.answer(get("/orders", bearer(stays.access))) == http.StatusServiceUnavailable
	})
	r.must(http.StatusOK, get("/session", stays.in()))
}

// A relay whose server was killed grants no lease that the server's own have not: what
// is strict behind it accepts nothing for longer than 2 s, and serves again when the
// server is back.
func TestRelayOfAKilledServerLengthensNoLease(t *testing.T) {
	t.Parallel()
	const lease = 2 * time.Second
	dir := t.TempDir()
	data, port := filepath.Join(dir, "data"), freePort(t)
	text := strings.Replace(setupFor(t, 1), "{management: [sessions:check], https://inventory", "{management: [sessions:check, feed:read], https://inventory", 1)
	args := []string{"--apply", write(t, dir, "setup.yaml", text)}
	c := serveChild(t, data, port, args...)
	relay, _ := relayed(t, c.url)
	service := followingOrders(t, c.url, relay)
	access := c.visit(person(0)).access
	serves := func() bool { return service.answer(get("/orders", bearer(access))) == http.StatusOK }
	eventually(t, "fresh: the service", serves)
	c.kill()
	killed, accepted := time.Now(), time.Now()
	eventually(t, "refusing without the server", func() bool {
		asked := time.Now()
		if serves() {
			accepted = asked
			return false
		}
		return true
	})
	if after := accepted.Sub(killed); after > lease {
		t.Errorf("accepted %v after the kill, longer than the lease of %v", after, lease)
	}
	// What it knows is younger than what it could tell, so its lease may end a moment later.
	eventually(t, "not ready: the relay", func() bool {
		res, err := http.Get(relay + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode == http.StatusServiceUnavailable
	})
	serveChild(t, data, port)
	eventually(t, "serving again", serves)
}

// answer is the status of what comes back.
func (r *running) answer(h hit) int {
	r.t.Helper()
	res, err := r.fire(h)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode
}
