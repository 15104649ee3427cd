package feed_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	surface "github.com/wafer-auth/wafer/internal/web/feed"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

func TestRevokedIsRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.end(revoke.Session, "ses_0")
	f := g.verifier(g.url, "v")
	g.refused(f, "ses_0")
	began := clock()
	seq := g.end(revoke.Session, "ses_1")
	reached, err := g.hub.Await(t.Context(), seq, feed.Fleet)
	took := clock().Sub(began)
	k := f.Keys(revocation.Subject{SessionID: "ses_1"})
	if err != nil || reached != feed.Fleet || f.Check(&k, 0) != revocation.Revoked {
		t.Errorf("got %s %v %+v", reached, err, f.Stats())
	}
	if took > time.Second {
		t.Errorf("FLEET took %v", took)
	}
}

func TestTreeOfRelaysOverHTTP(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	at := g.url
	for _, node := range []string{"upper", "lower"} {
		above := at
		at = g.serve(func(string) surface.Source {
			c := g.config(above, node)
			c.ClientID = "relay"
			up, err := revocation.NewRemote(c)
			g.must(err)
			r, err := feed.NewRelay(feed.RelayConfig{
				Upstream: up, Issuer: g.url, Node: node, Now: clock, Log: g.quiet,
				As: func(cr feed.Credentials) (revocation.Hub, error) {
					c := g.config(above, node)
					c.ClientID, c.ClientSecret = cr.ID, cr.Secret
					return revocation.NewRemote(c)
				},
			})
			g.must(err)
			g.run(r.Run)
			g.await(node+" is ready", r.Feed().Ready())
			return r
		})
	}
	f := g.verifier(at, "v")
	seq := g.end(revoke.Session, "ses_1")
	g.refused(f, "ses_1")
	if _, err := g.hub.Await(t.Context(), seq, feed.Fleet); err != nil {
		t.Error(err)
	}
	acks, err := g.hub.Acks(t.Context(), seq)
	if err != nil || len(acks) != 1 || acks[0].Heard.IsZero() {
		t.Errorf("got %v %v", acks, err)
	}
}

// Good, bad, and good again: it was the badness.
func TestOnlyClientsOfTheFeedGetIn(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	in := g.registered()
	ask := revocation.Ask{Nonce: "n", AsOfMS: -1}
	for name, tt := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"nothing":      {nil, 401},
		"wrong secret": {basic("orders", "x"), 401},
		"no scope":     {basic("shop", "secret & more"), 403},
		"ticket":       {bearer(in.Ticket), 401},
		"not encoded":  {func(r *http.Request) { r.SetBasicAuth("orders", "secret %zz") }, 401},
		"two headers": {func(r *http.Request) {
			basic("orders", "secret & more")(r)
			r.Header.Add("Authorization", "Bearer x")
		}, 400},
	} {
		if a := g.send("POST", "/feed/register", revocation.Registration{}, tt.change); a.StatusCode != tt.want || len(a.Header.Values("Access-Control-Allow-Origin")) > 0 {
			t.Errorf("register with %s: got %d %s", name, a.StatusCode, a.body)
		}
	}
	g.registered()
	for name, body := range map[string]string{
		"unknown member": `{"admin":true}`, "twice": `{"name":"a","name":"b"}`, "null": `{"name":null}`, "policy": `{"policy":"lax"}`, "no object": `[]`, "empty": ``,
	} {
		if a := g.send("POST", "/feed/register", body, basic("orders", "secret & more")); a.StatusCode != 400 {
			t.Errorf("%s: got %d %s", name, a.StatusCode, a.body)
		}
	}
	rows := []struct {
		method, path string
		body         any
	}{{"POST", "/feed/lease", ask}, {"GET", "/feed/events?from=1:0", nil}, {"GET", "/feed/snapshot?least=1:0", nil}, {"GET", "/feed/snapshot/1/0", nil}, {"DELETE", "/feed/register", nil}}
	for _, row := range rows {
		for name, change := range map[string]func(*http.Request){
			"nothing": nil, "junk": bearer("junk"), "basic": basic("orders", "secret & more"), "in the URL": func(r *http.Request) { r.URL.RawQuery += "&access_token=" + in.Ticket },
		} {
			a := g.send(row.method, row.path, row.body, change)
			if a.StatusCode != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s %s with %s: got %d %s", row.method, row.path, name, a.StatusCode, a.body)
			}
		}
	}
	a := g.send("POST", "/feed/lease", ask, bearer(in.Ticket))
	lease, err := revocation.OpenLease(string(a.body), in.LeaseKey)
	if err != nil || lease.Nonce != "n" || lease.Verifier != in.Verifier || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s %v", a.StatusCode, a.body, err)
	}
	g.end(revoke.Client, "orders")
	if _, err := g.hub.Await(t.Context(), 1, feed.Hubs); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if a := g.send(row.method, row.path, row.body, bearer(in.Ticket)); a.StatusCode != 401 {
			t.Errorf("%s %s of a disabled client: got %d", row.method, row.path, a.StatusCode)
		}
	}
	in = g.registered()
	if a := g.send("POST", "/feed/lease", ask, bearer(in.Ticket)); a.StatusCode != 200 {
		t.Errorf("registered again: got %d %s", a.StatusCode, a.body)
	}
	if a := g.send("DELETE", "/feed/register", nil, bearer(in.Ticket)); a.StatusCode != 204 {
		t.Errorf("leave: got %d", a.StatusCode)
	}
	if a := g.send("POST", "/feed/lease", ask, bearer(in.Ticket)); a.StatusCode != 401 {
		t.Errorf("after leaving: got %d", a.StatusCode)
	}
	if a := g.send("OPTIONS", "/feed/lease", nil, func(r *http.Request) { r.Header.Set("Origin", "https://evil.test") }); len(a.Header.Values("Access-Control-Allow-Origin")) > 0 {
		t.Error("another origin is let in")
	}
}

func TestKeysArePublic(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.send("GET", "/feed/jwks.json", nil, nil)
	keys, err := jose.ParseKeySet(a.body)
	if err != nil || len(keys) != 1 || keys[0].CanSign() || bytes.Contains(a.body, []byte(`"d"`)) {
		t.Errorf("got %s %v", a.body, err)
	}
}

func TestSnapshotsNeverChange(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for i := range 5 {
		g.end(revoke.Session, fmt.Sprint("ses_", i))
	}
	in := g.registered()
	first := g.send("GET", "/feed/snapshot?least=1:5", nil, bearer(in.Ticket))
	where := first.Header.Get("Content-Location")
	if first.StatusCode != 200 || where != "/feed/snapshot/1/5" || first.Header.Get("ETag") != `"1:5"` || first.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v", first.StatusCode, first.Header)
	}
	g.end(revoke.Session, "ses_9")
	again := g.send("GET", where, nil, bearer(in.Ticket))
	if !bytes.Equal(again.body, first.body) || !strings.HasPrefix(again.Header.Get("Cache-Control"), "private") {
		t.Errorf("got %d %v", again.StatusCode, again.Header)
	}
	zipped := g.send("GET", where, nil, func(r *http.Request) {
		bearer(in.Ticket)(r)
		r.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
	})
	z, err := gzip.NewReader(bytes.NewReader(zipped.body))
	g.must(err)
	plain, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(plain, first.body) || zipped.Header.Get("ETag") == first.Header.Get("ETag") {
		t.Errorf("compressed: %v %v", err, zipped.Header)
	}
	for _, none := range []string{"gzip;q=0", "identity", "gzip;q=x"} {
		a := g.send("GET", where, nil, func(r *http.Request) {
			bearer(in.Ticket)(r)
			r.Header.Set("Accept-Encoding", none)
		})
		if a.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed", none)
		}
	}
	known := g.send("GET", where, nil, func(r *http.Request) {
		bearer(in.Ticket)(r)
		r.Header.Set("If-None-Match", `"1:5"`)
	})
	if known.StatusCode != 304 || len(known.body) > 0 {
		t.Errorf("known: got %d", known.StatusCode)
	}
	for path, want := range map[string]int{"/feed/snapshot/1/77": 404, "/feed/snapshot/1/x": 400, "/feed/snapshot?least=x": 400, "/feed/snapshot": 400, "/feed/snapshot?least=1:99": 409} {
		if a := g.send("GET", path, nil, bearer(in.Ticket)); a.StatusCode != want {
			t.Errorf("%s: got %d %s, want %d", path, a.StatusCode, a.body, want)
		}
	}
}

// events opens a stream and returns its lines.
func (g *rig) events(ticket, last string) (lines <-chan string, done <-chan struct{}) {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), "GET", g.url+"/feed/events", nil)
	g.must(err)
	bearer(ticket)(r)
	r.Header.Set("Last-Event-ID", last)
	res, err := (&http.Transport{}).RoundTrip(r)
	g.must(err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		g.Fatalf("got %d %v", res.StatusCode, res.Header)
	}
	out, end := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(end)
		defer func() { _ = res.Body.Close() }()
		s := bufio.NewScanner(res.Body)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			out <- s.Text()
		}
	}()
	return out, end
}

// line waits for a line that begins so.
func (g *rig) line(lines <-chan string, prefix string) string {
	g.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case l := <-lines:
			if strings.HasPrefix(l, prefix) {
				return l
			}
		case <-late:
			g.Fatalf("no line %q", prefix)
		}
	}
}
