package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/logout"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/jwks"
)

// shopApp is the application behind shop-web: it takes logout tokens, as long as it
// is not down.
type shopApp struct {
	*httptest.Server
	mu     sync.Mutex
	down   bool
	tokens []string
}

func newShopApp(t *testing.T) *shopApp {
	s := &shopApp{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down || r.Method != http.MethodPost || r.URL.Path != "/backchannel" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.tokens = append(s.tokens, r.PostFormValue("logout_token"))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shopApp) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *shopApp) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.tokens...)
}

// outwardSetup has shop-web listen for logouts, and a receiver of shared signals.
func outwardSetup(t *testing.T, app string) string {
	t.Helper()
	text := strings.Replace(setupFor(t, 3), "    grants: [refresh_token]\n", "    grants: [refresh_token]\n    backchannel_logout_uri: "+app+"/backchannel\n", 1)
	receiver := "  - {id: siem, kind: confidential, secret: " + clientSecrets + ", grants: [client_credentials], apis: {management: [\"ssf:manage\"]}}\n"
	return strings.Replace(text, "roles:\n", receiver+"roles:\n", 1)
}

// eventually waits for something that happens by itself.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 30 s: not %s", what)
		}
	}
}

// opened checks a signed statement against the issuer's published keys, as a
// stranger would, and returns its claims.
func opened(t *testing.T, r *running, typ, text string) map[string]any {
	t.Helper()
	set, err := jwks.New(r.url+"/.well-known/jwks.json", jwks.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Parse(text, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := set.Key(t.Context(), token.Header.KeyID, jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := token.Verify(key)
	if err != nil || token.Header.Type != typ {
		t.Fatalf("type %q, %v", token.Header.Type, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// A logout that was acknowledged is told, though the application was down and the
// server was killed meanwhile.
func TestApplicationsHearOfLogoutsThoughTheServerWasKilled(t *testing.T) {
	shop := newShopApp(t)
	dir := t.TempDir()
	setup := write(t, dir, "setup.yaml", outwardSetup(t, shop.URL))
	data, port := filepath.Join(dir, "data"), freePort(t)
	c := serveChild(t, data, port, "--apply", setup)
	first, second := c.visit(person(0)), c.visit(person(1))
	c.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{first.in()}})
	eventually(t, "told of the first logout", func() bool { return len(shop.got()) == 1 })
	claims := opened(t, c.running, logout.TokenType, shop.got()[0])
	events, _ := claims["events"].(map[string]any)
	if claims["iss"] != c.url || claims["aud"] != "shop-web" || claims["sub"] != first.user || claims["sid"] != first.sid || events[logout.Event] == nil {
		t.Errorf("logout token: %v", claims)
	}
	shop.set(true)
	c.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{second.in()}})
	c.kill() // the logout is on disk; whether the message is, is the moment's luck
	shop.set(false)
	c = serveChild(t, data, port)
	eventually(t, "told of the second logout", func() bool { return len(shop.got()) > 1 })
	for _, text := range shop.got()[1:] { // at least once, and of nothing else
		if claims := opened(t, c.running, logout.TokenType, text); claims["sid"] != second.sid {
			t.Errorf("told of %v, not of %s", claims["sid"], second.sid)
		}
	}
}

// A receiver of shared signals makes a stream and comes for what it is to know.
func TestReceiversOfSharedSignalsHearOfABan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	setup := write(t, dir, "setup.yaml", outwardSetup(t, newShopApp(t).URL))
	r := serve(t, dir+"/data", "--apply", setup)
	token := r.must(http.StatusOK, formOf("/oauth/token", fields("grant_type", "client_credentials", "client_id", "siem", "client_secret", clientSecrets, "resource", "management"))).str("access_token")
	about := r.must(http.StatusOK, get("/.well-known/ssf-configuration"))
	if about.str("configuration_endpoint") != r.url+"/ssf/stream" {
		t.Fatalf("metadata: %s", about.text)
	}
	stream := r.must(http.StatusCreated, jsonOf(http.MethodPost, "/ssf/stream", map[string]any{
		"delivery": map[string]string{"method": "urn:ietf:rfc:8936"}, "events_requested": []string{ssf.SessionRevoked},
	}, bearer(token)))
	delivery, _ := stream.body["delivery"].(map[string]any)
	where, _ := delivery["endpoint_url"].(string)
	poll := func(with map[string]any) map[string]any {
		t.Helper()
		sets, _ := r.must(http.StatusOK, jsonOf(http.MethodPost, strings.TrimPrefix(where, r.url), with, bearer(token))).body["sets"].(map[string]any)
		return sets
	}
	if sets := poll(map[string]any{"returnImmediately": true}); len(sets) != 0 {
		t.Fatalf("before anything happened: %v", sets)
	}
	v := r.visit(person(0))
	mustWafer(t, "", "--data", r.data, "revoke", "--user", person(0))
	var heard map[string]any
	var id string
	eventually(t, "heard of the ban", func() bool {
		for i, one := range poll(map[string]any{}) {
			text, _ := one.(string)
			heard, id = opened(t, r, ssf.TokenType, text), i
		}
		return heard != nil
	})
	events, _ := heard["events"].(map[string]any)
	subject, _ := heard["sub_id"].(map[string]any)
	if heard["iss"] != r.url || heard["aud"] != "siem" || subject["sub"] != v.user || events[ssf.SessionRevoked] == nil || len(events) != 1 {
		t.Errorf("heard %v", heard)
	}
	if sets := poll(map[string]any{"returnImmediately": true, "ack": []string{id}}); sets[id] != nil {
		t.Error("told again of what was acknowledged")
	}
	// SSRF, and somebody without the scope.
	r.must(http.StatusBadRequest, jsonOf(http.MethodPatch, "/ssf/stream", map[string]any{
		"stream_id": stream.str("stream_id"), "delivery": map[string]string{"method": "urn:ietf:rfc:8935", "endpoint_url": "http://169.254.169.254/"},
	}, bearer(token)))
	at := "/ssf/stream?stream_id=" + stream.str("stream_id")
	r.must(http.StatusUnauthorized, get(at, bearer(v.access)))
	r.must(http.StatusOK, get(at, bearer(token)))
}
