package app_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
)

func byDocument(c *config.Config) { c.ClientDocuments = true }

func toLoopback(c *config.Config) {
	c.Outbound = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// described is a server with a metadata document.
type described struct {
	*httptest.Server
	asked atomic.Int32
	mu    sync.Mutex
	body  object
	sent  func(w http.ResponseWriter) bool // answers itself when it returns true
}

func newDescribed(t *testing.T) *described {
	d := &described{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		d.asked.Add(1)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.sent != nil && d.sent(w) {
			return
		}
		raw, _ := json.Marshal(d.body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=600")
		_, _ = w.Write(raw)
	}))
	t.Cleanup(d.Close)
	d.body = object{
		"client_id": d.URL + "/client.json", "client_name": "Described", "redirect_uris": []string{mine}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "scope": "openid other:thing",
	}
	return d
}

func TestClientIsWhatItsDocumentSays(t *testing.T) {
	t.Parallel()
	d := newDescribed(t)
	s := newSite(t, byDocument, toLoopback)
	id := d.URL + "/client.json"
	q, consent := s.enter(id, mine, "openid")
	if host := strings.TrimPrefix(d.URL, "http://"); !strings.Contains(consent, "not verified") || !strings.Contains(consent, host) {
		t.Errorf("consent page: %s", consent)
	}
	tokens := s.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {q.Get("code")}, "redirect_uri": {mine}, "code_verifier": {verifier},
	})
	tokens.want(t, 200, "")
	if claims := s.verified(tokens.text("id_token")); claims["aud"] != id {
		t.Errorf("ID token: %v", claims)
	}
	if n := d.asked.Load(); n != 1 {
		t.Errorf("the document was fetched %d times", n)
	}
	if c := s.manage("GET", "/clients/"+url.PathEscape(id), ""); c.text("source") != "document" || c.body["first_party"] != false {
		t.Errorf("client: %v", c.body)
	}
	// At the pushed endpoint, too.
	sum := sha256.Sum256([]byte(verifier))
	res, body := s.do("POST", "/oauth/par", url.Values{"client_id": {id}, "redirect_uri": {mine}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}})
	if res.StatusCode != 201 {
		t.Errorf("pushed: %d %s", res.StatusCode, body)
	}
}

func TestAttackDocumentOfAnotherIsNotTaken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *described){
		"another id":      func(d *described) { d.body["client_id"] = "https://app.example/client.json" },
		"no id":           func(d *described) { delete(d.body, "client_id") },
		"a secret":        func(d *described) { d.body["client_secret"] = "a-secret-that-everybody-reads" },
		"a secret method": func(d *described) { d.body["token_endpoint_auth_method"] = "client_secret_basic" },
		"a symmetric key": func(d *described) { d.body["jwks"] = object{"keys": []object{{"kty": "oct", "k": "AAAA"}}} },
		"a dangerous URI": func(d *described) { d.body["redirect_uris"] = []string{mine, "javascript:alert(1)"} },
		"a large one":     func(d *described) { d.body["x"] = strings.Repeat("x", 5<<10) },
		"a page": func(d *described) {
			d.sent = func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte(`{"client_id":` + strconv.Quote(d.URL+"/client.json") + `}`))
				return true
			}
		},
		"a redirect": func(d *described) {
			d.sent = func(w http.ResponseWriter) bool {
				w.Header().Set("Location", "/other.json")
				w.WriteHeader(302)
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDescribed(t)
			s := newSite(t, byDocument, toLoopback)
			good := maps.Clone(d.body)
			change(d)
			if q, page := s.enter(d.URL+"/client.json", mine, "openid"); q != nil || !strings.Contains(page, "cannot be identified") {
				t.Fatalf("got %v %s", q, page)
			}
			if all := s.manage("GET", "/clients", ""); slices.ContainsFunc(all.body["items"].([]any), func(c any) bool { return c.(object)["source"] == "document" }) {
				t.Errorf("there is a client: %v", all.body)
			}
			d.mu.Lock()
			d.body, d.sent = good, nil // what failed is not remembered
			d.mu.Unlock()
			if q, page := s.enter(d.URL+"/client.json", mine, "openid"); q.Get("code") == "" {
				t.Errorf("then a good one: %v %s", q, page)
			}
		})
	}
}

// Who may not be reached is not asked, and who is switched off is not served.
func TestAttackDocumentAddressesLeadNowhereInside(t *testing.T) {
	t.Parallel()
	d := newDescribed(t)
	for name, change := range map[string]func(*config.Config){"off": toLoopback, "http without --outbound": byDocument} {
		s := newSite(t, change)
		if q, page := s.enter(d.URL+"/client.json", mine, "openid"); q != nil || !strings.Contains(page, "no application that is registered") {
			t.Errorf("%s: %v %s", name, q, page)
		}
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
	s := newSite(t, byDocument, toLoopback)
	for _, id := range []string{"https://10.0.0.1/c.json", "https://169.254.169.254/latest", "https://[::1]:9/c.json"} {
		if q, page := s.enter(id, mine, "openid"); q != nil || !strings.Contains(page, "cannot be identified") {
			t.Errorf("%s: %v %s", id, q, page)
		}
	}
	if q, _ := s.enter(d.URL+"/client.json", mine, "openid"); q.Get("code") == "" {
		t.Error("the good one got no code")
	}
}

func TestDocumentThatChangedTakesEffectWhenItIsStale(t *testing.T) {
	t.Parallel()
	d := newDescribed(t)
	s := newSite(t, byDocument, toLoopback)
	id := d.URL + "/client.json"
	enters := func(redirect string) bool { q, _ := s.enter(id, redirect, "openid"); return q.Get("code") != "" }
	if !enters(mine) {
		t.Fatal("no code")
	}
	const other = "https://app.example/moved"
	d.mu.Lock()
	d.body["redirect_uris"] = []string{other}
	d.mu.Unlock()
	if !enters(mine) || d.asked.Load() != 1 {
		t.Errorf("fresh for ten minutes: fetched %d times", d.asked.Load())
	}
	s.now.Store(int64(11 * time.Minute))
	if enters(mine) || !enters(other) || d.asked.Load() != 2 {
		t.Errorf("the change took no effect; fetched %d times", d.asked.Load())
	}
	s.manage("PATCH", "/clients/"+url.PathEscape(id), `{"disabled":true}`).want(t, 200, "")
	s.now.Store(int64(48 * time.Hour))
	if enters(other) || d.asked.Load() != 2 {
		t.Errorf("a disabled client came back; fetched %d times", d.asked.Load())
	}
	s.manage("PATCH", "/clients/"+url.PathEscape(id), `{"disabled":false}`).want(t, 200, "")
	if !enters(other) {
		t.Error("enabled again: no code")
	}
}
