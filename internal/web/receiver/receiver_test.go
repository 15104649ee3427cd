package receiver_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/web/courier"
	surface "github.com/wafer-auth/wafer/internal/web/receiver"
	"github.com/wafer-auth/wafer/verify/jose"
)

var quiet = slog.New(slog.DiscardHandler)

// events remembers what came, and answers with err.
type events struct {
	got receiver.Push
	err error
}

func (e *events) Receive(_ context.Context, p receiver.Push) error {
	e.got = p
	return e.err
}

func push(t *testing.T, e *events, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	surface.New(surface.Config{Events: e, Log: quiet}).Mount(mux)
	r := httptest.NewRequest("POST", "/receiver/idp", strings.NewReader("a.b.c"))
	r.Header.Set("Content-Type", "application/secevent+jwt")
	r.Header.Set("Authorization", "Bearer the-secret")
	change(r)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestPushIsHandedOnAndAccepted(t *testing.T) {
	t.Parallel()
	e := &events{}
	w := push(t, e, func(*http.Request) {})
	if w.Code != 202 || w.Body.Len() > 0 || e.got != (receiver.Push{Transmitter: "idp", Secret: "the-secret", Token: "a.b.c"}) {
		t.Errorf("%d %s, handed on %+v", w.Code, w.Body, e.got)
	}
}

func TestPushIsRefusedInTheWordsOfTheRFC(t *testing.T) {
	t.Parallel()
	none := func(*http.Request) {}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		err    error
		status int
		code   string
	}{
		{"no secret", func(r *http.Request) { r.Header.Del("Authorization") }, nil, 400, "authentication_failed"},
		{"two secrets", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, nil, 400, "authentication_failed"},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, nil, 400, "authentication_failed"},
		{"empty secret", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, nil, 400, "authentication_failed"},
		{"form", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, nil, 400, "invalid_request"},
		{"any JWT", func(r *http.Request) { r.Header.Set("Content-Type", "application/jwt") }, nil, 400, "invalid_request"},
		{"no type", func(r *http.Request) { r.Header.Del("Content-Type") }, nil, 400, "invalid_request"},
		{"refused", none, &receiver.Error{Code: receiver.InvalidIssuer, Description: "Why."}, 400, "invalid_issuer"},
		{"try again", none, fault.New(fault.Unavailable, "Later."), 503, ""},
		{"broken", none, errors.New("secret detail"), 500, ""},
		{"large", func(r *http.Request) { r.Body = http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("a.b.c")), 2) }, nil, 413, ""},
		{"read", func(r *http.Request) { r.Method = "GET" }, nil, 405, ""},
	} {
		w := push(t, &events{err: tt.err}, tt.change)
		var body struct{ Err, Description string }
		if tt.code != "" && (json.Unmarshal(w.Body.Bytes(), &body) != nil || body.Description == "" || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("%s: %v %s", tt.name, w.Header(), w.Body)
		}
		if w.Code != tt.status || body.Err != tt.code || strings.Contains(w.Body.String(), "detail") {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

func TestKeysAreGotOnceAndFromWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	key, err := jose.Generate(jose.ES256, "k1")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_ = json.NewEncoder(w).Encode(jose.KeySet{key.Public()})
	}))
	defer server.Close()
	now := func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }
	keys := func(issuer string) *surface.Keys {
		k, err := courier.New(courier.Config{Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		return surface.NewKeys(surface.KeysConfig{Client: k.Client(), Now: now, Log: quiet})
	}
	at := receiver.Transmitter{ID: "idp", JWKSURI: server.URL + "/jwks"}
	home := keys("http://localhost:8080")
	for range 3 {
		got, err := home.Find(t.Context(), at, "k1", jose.ES256)
		if err != nil || got.Thumbprint() != key.Thumbprint() {
			t.Fatalf("key %v, %v", got, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if _, err := home.Find(t.Context(), at, "k1", jose.RS256); !errors.Is(err, receiver.ErrNoKey) {
		t.Errorf("another algorithm: %v", err)
	}
	if _, err := home.Find(t.Context(), receiver.Transmitter{ID: "idp", JWKSURI: "http://127.0.0.1:1/jwks"}, "k1", jose.ES256); err == nil || errors.Is(err, receiver.ErrNoKey) {
		t.Errorf("a key of the address before: %v", err)
	}
	before := asked.Load()
	if _, err := keys("https://id.example").Find(t.Context(), at, "k1", jose.ES256); err == nil || errors.Is(err, receiver.ErrNoKey) {
		t.Errorf("from loopback, for a public issuer: %v", err)
	}
	if asked.Load() != before {
		t.Error("the inner server was spoken to")
	}
}
