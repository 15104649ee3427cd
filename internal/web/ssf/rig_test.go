package ssf_test

import (
	"bytes"
	"context"
	"crypto/x509"
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
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/web/courier"
	web "github.com/wafer-auth/wafer/internal/web/ssf"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	issuer = "http://localhost:8080"
	ada    = "usr_01h00000000000000000000000"

	pushURN = "urn:ietf:rfc:8935"
	pollURN = "urn:ietf:rfc:8936"
)

// A rig is a transmitter with two receivers that may have streams, "rx" and "other".
type rig struct {
	t      *testing.T
	store  *memory.Store
	flow   *ssf.Service
	outbox *outbox.Outbox
	mux    *http.ServeMux
	key    *jose.Key
	mu     sync.Mutex
	at     time.Time
}

// tokens are who may call: the token is the client's id and a scope, or a person's.
type tokens struct{}

func (tokens) Manager(_ context.Context, bearer string) (grant.Manager, error) {
	id, scope, ok := strings.Cut(bearer, " ")
	if !ok {
		return grant.Manager{}, fault.New(fault.Unauthenticated, "No.")
	}
	m := grant.Manager{Subject: id, ClientID: id, Scopes: strings.Fields(scope)}
	if id == "person" {
		m.ClientID = "rx"
	}
	return m, nil
}

func newRig(t *testing.T, roots *x509.CertPool) *rig {
	t.Helper()
	key, err := jose.Generate(jose.RS256, "k1")
	check(t, err)
	root, err := opaque.NewRoot(bytes.Repeat([]byte{1}, opaque.RootSize))
	check(t, err)
	g := &rig{t: t, store: memory.New(), mux: http.NewServeMux(), key: key, at: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)}
	k, err := courier.New(courier.Config{Issuer: issuer, Roots: roots})
	check(t, err)
	t.Cleanup(k.Close)
	log := slog.New(slog.DiscardHandler)
	g.flow, err = ssf.New(ssf.Config{
		Issuer: issuer, Store: g.store, Clients: g.store, Users: g.store, Signer: func() (*jose.Key, bool) { return g.key, g.key != nil },
		Post: k.Post, Seal: root.Derive("streams"), Now: g.now, Log: log,
	})
	check(t, err)
	g.outbox, err = outbox.New(outbox.Config{Queue: g.store, Log: g.store, Topics: []outbox.Topic{g.flow}, Now: g.now, Logger: log})
	check(t, err)
	web.New(web.Config{Issuer: issuer, Tokens: tokens{}, Streams: g.flow, Events: g.flow, Wait: 10 * time.Second, Log: log}).Mount(g.mux)
	for _, id := range []string{"rx", "other"} {
		check(t, g.store.AddClient(t.Context(), client.Client{
			ID: id, Kind: client.Public, APIs: map[string][]string{api.Management: {ssf.ScopeManage, ssf.ScopeRead}}, Version: 1,
		}, revoke.Effects{}))
	}
	check(t, g.store.AddUser(t.Context(), account.User{ID: ada, Canonical: "ada", Roles: []string{"clerk", "boss"}, Version: 1}, revoke.Effects{}))
	g.tick()
	return g
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (g *rig) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at
}

func (g *rig) forward(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at = g.at.Add(d)
}

func (g *rig) tick() {
	g.t.Helper()
	check(g.t, g.outbox.Tick(g.t.Context()))
}

func (g *rig) end(e revoke.Entry) {
	g.t.Helper()
	e.At, e.KeepUntil = g.now(), g.now().Add(25*time.Hour)
	_, err := g.store.Record(g.t.Context(), revoke.Effects{Revoke: []revoke.Entry{e}})
	check(g.t, err)
	g.tick()
}

type answer struct {
	*httptest.ResponseRecorder
	body map[string]any
}

// as calls as a client with a scope. body is sent as it is when it is a text.
func (g *rig) as(who, method, path string, body any) answer {
	g.t.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		text, err = json.Marshal(b)
		check(g.t, err)
	}
	r := httptest.NewRequestWithContext(g.t.Context(), method, path, bytes.NewReader(text))
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	g.mux.ServeHTTP(w, r)
	a := answer{w, nil}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body) // some answers are lists, or empty
	return a
}

func (g *rig) do(method, path string, body any) answer {
	g.t.Helper()
	return g.as("rx ssf:manage", method, path, body)
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.Code != status {
		t.Fatalf("got %d, want %d: %s", a.Code, status, a.Body)
	}
	return a
}

type object = map[string]any

// stream makes a stream that is polled, of all events, and returns its id.
func (g *rig) stream() string {
	g.t.Helper()
	a := g.do("POST", "/ssf/stream", object{"delivery": object{"method": pollURN}, "events_requested": ssf.Supported})
	return a.want(g.t, 201).body["stream_id"].(string)
}

// poll returns the events of a poll that does not wait, by id.
func (g *rig) poll(id string, ask object) map[string]set {
	g.t.Helper()
	ask["returnImmediately"] = true
	a := g.do("POST", "/ssf/poll/"+id, ask).want(g.t, 200)
	all := map[string]set{}
	for id, token := range a.body["sets"].(object) {
		all[id] = g.read(token.(string))
		if all[id].ID != id {
			g.t.Errorf("event %s calls itself %s", id, all[id].ID)
		}
	}
	return all
}

// set is a security event token as a receiver reads it.
type set struct {
	Issuer      string            `json:"iss"`
	Audience    string            `json:"aud"`
	ID          string            `json:"jti"`
	IssuedAt    int64             `json:"iat"`
	Transaction string            `json:"txn"`
	About       object            `json:"sub_id"`
	Events      map[string]object `json:"events"`
	kind        string            // of the one event
}

// read is as strict as a receiver may be (SSF 1.0 section 4, CAEP interoperability
// profile).
func (g *rig) read(token string) set {
	g.t.Helper()
	h, payload, err := jose.Verify(token, g.key.Public())
	check(g.t, err)
	var s set
	check(g.t, json.Unmarshal(payload, &s))
	var names map[string]any
	check(g.t, json.Unmarshal(payload, &names))
	if h.Type != "secevent+jwt" || h.Algorithm != jose.RS256 || s.Issuer != issuer || s.ID == "" || s.Transaction == "" || s.IssuedAt != g.now().Unix() {
		g.t.Errorf("event with header %+v: %s", h, payload)
	}
	if names["exp"] != nil || names["sub"] != nil || names["nonce"] != nil || len(s.Events) != 1 {
		g.t.Errorf("event says too much: %s", payload)
	}
	for s.kind = range s.Events {
	}
	return s
}

// A sink is a receiver that events are pushed to.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int // of the next answers; then 202
	got      []string
	auth     []string
}

func newSink(t *testing.T, statuses ...int) (*sink, *x509.CertPool) {
	t.Helper()
	s := &sink{statuses: statuses}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/secevent+jwt" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		s.got, s.auth = append(s.got, string(body)), append(s.auth, r.Header.Get("Authorization"))
		status := http.StatusAccepted
		if len(s.statuses) > 0 {
			status, s.statuses = s.statuses[0], s.statuses[1:]
		}
		w.WriteHeader(status)
		if status == http.StatusBadRequest {
			_, _ = io.WriteString(w, `{"err":"invalid_key","description":"no"}`)
		}
	}))
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, pool
}

// took returns what was pushed, and as whom, since the last call.
func (s *sink) took() (got, auth []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, auth = s.got, s.auth
	s.got, s.auth = nil, nil
	return got, auth
}
