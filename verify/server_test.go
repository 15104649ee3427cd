package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

type ctx = context.Context

// asked is a server whose answer the test writes, and the verifier that asks it.
type asked struct {
	web    *httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	last   url.Values
	auth   string
	key    *jose.Key
	v      *verify.Verifier
}

func newAsked(t *testing.T, changes ...func(*verify.ServerConfig)) *asked {
	t.Helper()
	a := &asked{}
	a.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.answer.Load())(w, r) }))
	t.Cleanup(a.web.Close)
	c := verify.ServerConfig{IntrospectURL: a.web.URL + "/oauth/introspect", ClientID: "orders api", ClientSecret: "s:e+c%r et"}
	for _, change := range changes {
		change(&c)
	}
	server, err := verify.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	if a.key, err = jose.Generate(jose.EdDSA, "key-1"); err != nil {
		t.Fatal(err)
	}
	a.v, err = verify.New(verify.Config{
		Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{jose.EdDSA}, Keys: verify.StaticKeys(a.key),
		Server: server, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *asked) says(f http.HandlerFunc) { a.answer.Store(&f) }

// saysJSON answers with this body and keeps what was asked.
func (a *asked) saysJSON(status int, body any) {
	a.says(func(w http.ResponseWriter, r *http.Request) {
		a.auth = r.Header.Get("Authorization")
		_ = r.ParseForm()
		a.last = r.PostForm
		w.WriteHeader(status)
		if s, ok := body.(string); ok {
			_, _ = io.WriteString(w, s)
			return
		}
		_ = json.NewEncoder(w).Encode(body)
	})
}

func (o object) with(name string, value any) object {
	next := object{}
	for k, v := range o {
		next[k] = v
	}
	next[name] = value
	if value == nil {
		delete(next, name)
	}
	return next
}

func (o object) text() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func live(kind string) object {
	return goodClaims(time.Now()).with("active", true).with("token_type", kind)
}

func TestServerIsAskedAsTheRFCsSay(t *testing.T) {
	t.Parallel()
	a := newAsked(t)
	a.saysJSON(http.StatusOK, live("session"))
	id, err := a.v.Session(t.Context(), "cookie-value")
	if err != nil || id.Kind != verify.Session || id.Subject != "u_01J9ZK3Q8Y" || !id.HasScope("orders:read") {
		t.Fatalf("session: got %+v, %v", id, err)
	}
	want := url.Values{"token": {"cookie-value"}, "token_type_hint": {"session"}, "api": {testAPI}}
	if got := a.last.Encode(); got != want.Encode() {
		t.Errorf("session: asked %s, want %s", got, want.Encode())
	}
	// RFC 6749 section 2.3.1: both halves form-encoded, then Basic.
	r := http.Request{Header: http.Header{"Authorization": {a.auth}}}
	if user, password, _ := r.BasicAuth(); user != "orders+api" || password != "s%3Ae%2Bc%25r+et" {
		t.Errorf("got Basic %q, %q", user, password)
	}
	a.saysJSON(http.StatusOK, live("Bearer"))
	if id, err := a.v.Token(t.Context(), "opaque-value"); err != nil || id.Kind != verify.Opaque {
		t.Fatalf("opaque: got %+v, %v", id, err)
	}
	want = url.Values{"token": {"opaque-value"}, "token_type_hint": {"access_token"}}
	if got := a.last.Encode(); got != want.Encode() {
		t.Errorf("opaque: asked %s, want %s", got, want.Encode())
	}
	token := sign(t, a.key, goodClaims(time.Now()))
	if id, err := a.v.Token(t.Context(), token); err != nil || id.Kind != verify.Token {
		t.Fatalf("token: got %+v, %v", id, err)
	}
	if got := a.last.Get("token"); got != token {
		t.Errorf("token: asked about %q", got)
	}
}

func TestAnswersOfTheServerAreJudged(t *testing.T) {
	t.Parallel()
	a := newAsked(t)
	token := sign(t, a.key, goodClaims(time.Now()))
	ask := map[string]func() (*verify.Identity, error){
		"session": func() (*verify.Identity, error) { return a.v.Session(t.Context(), "cookie-value") },
		"opaque":  func() (*verify.Identity, error) { return a.v.Token(t.Context(), "opaque-value") },
		"token":   func() (*verify.Identity, error) { return a.v.Token(t.Context(), token) },
	}
	kinds := map[string]string{"session": "session", "opaque": "Bearer", "token": "Bearer"}
	past := time.Now().Add(-time.Hour).Unix()
	for _, tt := range []struct {
		of, name string
		status   int
		body     any
		want     error
	}{
		{"token", "inactive", 200, object{"active": false}, verify.ErrRevoked},
		{"token", "about another token", 200, live("Bearer").with("jti", "t_other"), verify.ErrUnavailable},
		{"token", "about another user", 200, live("Bearer").with("sub", "u_other"), verify.ErrUnavailable},
		{"token", "active a string", 200, live("Bearer").with("active", "true"), verify.ErrUnavailable},
		{"token", "active a number", 200, live("Bearer").with("active", 1), verify.ErrUnavailable},
		{"token", "active missing", 200, live("Bearer").with("active", nil), verify.ErrRevoked},
		{"token", "empty", 200, "", verify.ErrUnavailable},
		{"token", "not JSON", 200, "<html>", verify.ErrUnavailable},
		{"token", "active twice", 200, `{"active":false,"active":true}`, verify.ErrUnavailable},
		{"token", "status 500", 500, live("Bearer"), verify.ErrUnavailable},
		{"token", "status 401", 401, live("Bearer"), verify.ErrUnavailable},
		{"token", "status 201", 201, live("Bearer"), verify.ErrUnavailable},
		{"token", "endless", 200, live("Bearer").text() + strings.Repeat(" ", 1<<20), verify.ErrUnavailable},
		{"session", "inactive", 200, object{"active": false}, verify.ErrRevoked},
		{"session", "an access token", 200, live("Bearer"), verify.ErrType},
		{"session", "no type", 200, live("").with("token_type", nil), verify.ErrType},
		{"session", "other issuer", 200, live("session").with("iss", "https://evil.test"), verify.ErrIssuer},
		{"session", "no issuer", 200, live("session").with("iss", nil), verify.ErrIssuer},
		{"session", "other audience", 200, live("session").with("aud", "https://other.test"), verify.ErrAudience},
		{"session", "expired", 200, live("session").with("exp", past), verify.ErrExpired},
		{"session", "no end", 200, live("session").with("exp", nil), verify.ErrClaims},
		{"session", "nobody", 200, live("session").with("sub", nil), verify.ErrClaims},
		{"session", "no sid", 200, live("session").with("sid", nil), verify.ErrClaims},
		{"session", "bound", 200, live("session").with("cnf", object{"jkt": "x"}), verify.ErrBinding},
		{"opaque", "inactive", 200, object{"active": false}, verify.ErrRevoked},
		{"opaque", "a session", 200, live("session"), verify.ErrType},
		{"opaque", "a refresh token", 200, live("refresh_token"), verify.ErrType},
		{"opaque", "DPoP", 200, live("DPoP"), verify.ErrBinding},
		{"opaque", "bound", 200, live("Bearer").with("cnf", object{"jkt": "x"}), verify.ErrBinding},
		{"opaque", "other audience", 200, live("Bearer").with("aud", []string{"https://other.test"}), verify.ErrAudience},
		{"opaque", "no audience", 200, live("Bearer").with("aud", nil), verify.ErrAudience},
	} {
		t.Run(tt.of+" "+tt.name, func(t *testing.T) {
			matching := func() {
				t.Helper()
				a.saysJSON(http.StatusOK, live(kinds[tt.of]))
				if id, err := ask[tt.of](); err != nil || id == nil {
					t.Fatalf("good answer: got %+v, %v", id, err)
				}
			}
			matching()
			a.saysJSON(tt.status, tt.body)
			if id, err := ask[tt.of](); id != nil || !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v, want %v", id, err, tt.want)
			}
			matching()
		})
	}
}

func TestAttackServerRedirects(t *testing.T) {
	t.Parallel()
	a := newAsked(t)
	var stolen atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stolen.Add(1)
		_ = json.NewEncoder(w).Encode(live("session"))
	}))
	t.Cleanup(evil.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		a.says(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil.URL, status) })
		if _, err := a.v.Session(t.Context(), "cookie-value"); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("%d: got %v, want ErrUnavailable", status, err)
		}
	}
	if stolen.Load() != 0 {
		t.Error("the credential went to another host")
	}
}

func TestGarbageCostsNoQuestion(t *testing.T) {
	t.Parallel()
	a := newAsked(t)
	a.says(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	for name, value := range map[string]string{"space": "a b", "quote": `"a"`, "newline": "a\nb", "percent": "a%20", "long": strings.Repeat("a", 600), "UTF-8": "ä"} {
		if _, err := a.v.Session(t.Context(), value); err == nil {
			t.Errorf("%s: accepted as a session", name)
		}
		if _, err := a.v.Token(t.Context(), value); err == nil {
			t.Errorf("%s: accepted as a token", name)
		}
	}
	if _, err := a.v.Token(t.Context(), "e30.e30.AA"); err == nil {
		t.Error("a bad JWT was accepted")
	}
}

func TestSlowServerIsGivenUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	a := newAsked(t, func(c *verify.ServerConfig) { c.Timeout = 30 * time.Millisecond })
	a.says(func(http.ResponseWriter, *http.Request) { <-release })
	_, err := a.v.Session(t.Context(), "cookie-value")
	close(release)
	if !errors.Is(err, verify.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrUnavailable for the deadline", err)
	}
}

func TestQuestionsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	a := newAsked(t, func(c *verify.ServerConfig) { c.Concurrency, c.Timeout = 3, time.Minute })
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	a.says(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_ = json.NewEncoder(w).Encode(live("session"))
	})
	var all sync.WaitGroup
	ask := func() {
		if _, err := a.v.Session(t.Context(), "cookie-value"); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		all.Go(ask)
	}
	for range 3 {
		<-arrived
	}
	impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.v.Session(impatient, "cookie-value"); !errors.Is(err, verify.ErrUnavailable) || len(arrived) != 0 {
		t.Errorf("the fourth: got %v, and %d more questions arrived", err, len(arrived))
	}
	all.Go(ask) // waits for a free slot and gets it
	close(release)
	all.Wait()
}

func TestLossOfTheServerIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	server, err := verify.NewServer(verify.ServerConfig{Issuer: web.URL, ClientID: "api", ClientSecret: "secret-of-the-api"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Issuer: web.URL, Audience: testAPI, Server: server, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := v.Session(t.Context(), "cookie-value"); !errors.Is(err, verify.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "cookie-value") || strings.Contains(got, "secret-of-the-api") {
		t.Errorf("got log %q", got)
	}
	if _, err := v.Token(t.Context(), "e30.e30.AA"); !errors.Is(err, verify.ErrType) {
		t.Errorf("a JWT without keys: got %v, want ErrType", err)
	}
}
