package app_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	planned  = "https://planner.example/cb"
	password = "correct-horse-battery-staple"
	planner  = "planner-secret-for-this-test"
	verifier = "a-verifier-of-at-least-forty-three-characters-0123"
)

const setup = `
apis: [{id: https://orders.example, name: Orders, scopes: [orders:read]}]
roles: [{id: clerk, scopes: {https://orders.example: [orders:read]}}]
users: [{login: ada@example.com, name: Ada Lovelace, password: ` + password + `, roles: [clerk]}]
clients:
  - {id: planner, name: Planner, kind: confidential, secret: ` + planner + `, redirect_uris: ['` + planned + `'], grants: [authorization_code, refresh_token], apis: {https://orders.example: [orders:read]}}
`

// site is a whole server, and a browser in front of it.
type site struct {
	t   *testing.T
	url string
	web *http.Client
	app *app.App
	now atomic.Int64 // how far the clock is ahead, in nanoseconds
}

func newSite(t *testing.T, change ...func(*config.Config)) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	s := &site{t: t, url: "https://" + server.Listener.Addr().String()}
	cfg := config.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Issuer: s.url}.WithDefaults()
	for _, f := range change {
		f(&cfg)
	}
	s.must(cfg.Validate())
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: func() time.Time {
		return time.Now().Add(time.Duration(s.now.Load()))
	}})
	s.must(err)
	s.app = a
	t.Cleanup(func() { s.must(a.Close()) })
	_, err = a.Apply(t.Context(), "setup.yaml", []byte(setup))
	s.must(err)
	server.Config.Handler = a.Public()
	server.StartTLS()
	s.web = server.Client()
	s.web.Jar, err = cookiejar.New(nil)
	s.must(err)
	s.web.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.url) {
			return nil
		}
		return http.ErrUseLastResponse
	}
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// do sends a request, as the client when it is to prove who it is, and returns the
// answer and its body.
func (s *site) do(method, path string, form url.Values, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	s.must(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", s.url)
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.web.Do(r)
	s.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.must(err)
	return res, string(body)
}

func asPlanner() []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("planner:"+planner))}
}

// call asks an endpoint of the protocols, and reads the JSON it answers.
func (s *site) call(path string, form url.Values) map[string]any {
	s.t.Helper()
	res, body := s.do("POST", path, form, asPlanner()...)
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil || res.StatusCode >= 300 {
		s.t.Fatalf("%s: %d %s", path, res.StatusCode, body)
	}
	return out
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

func fieldsOf(page string) url.Values {
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], m[2])
	}
	return form
}

// From a pushed request to userinfo, on the store that people use, with keys that the
// server makes when it needs them.
func TestAuthorizationCodeThroughTheWholeServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sum := sha256.Sum256([]byte(verifier))
	pushed := s.call("/oauth/par", url.Values{
		"redirect_uri": {planned}, "response_type": {"code"}, "scope": {"openid profile orders:read"}, "state": {"a state"}, "nonce": {"a nonce"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	})
	uri, _ := pushed["request_uri"].(string)
	_, login := s.do("GET", "/oauth/authorize?"+url.Values{"client_id": {"planner"}, "request_uri": {uri}}.Encode(), nil)
	form := fieldsOf(login)
	form.Set("login", "ada@example.com")
	form.Set("password", password)
	_, consent := s.do("POST", "/login", form)
	form = fieldsOf(consent)
	form.Set("decision", "allow")
	res, body := s.do("POST", "/oauth/consent", form)
	back, err := res.Location()
	if err != nil || res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(back.String(), planned+"?") {
		t.Fatalf("no answer: %d %v %s", res.StatusCode, back, body)
	}
	q := back.Query()
	if q.Get("state") != "a state" || q.Get("iss") != s.url {
		t.Errorf("answer %v", q)
	}
	tokens := s.call("/oauth/token", url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {planned}, "code_verifier": {verifier}})
	claims := s.verified(tokens["id_token"].(string))
	for name, want := range map[string]string{"iss": s.url, "aud": "planner", "nonce": "a nonce", "acr": "aal1"} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %s", name, claims[name], want)
		}
	}
	res, info := s.do("GET", "/oauth/userinfo", nil, "Authorization", "Bearer "+tokens["access_token"].(string))
	if res.StatusCode != 200 || !strings.Contains(info, `"name":"Ada Lovelace"`) || !strings.Contains(info, claims["sub"].(string)) {
		t.Errorf("userinfo: %d %s", res.StatusCode, info)
	}
	again := s.call("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}})
	if again["access_token"] == "" {
		t.Errorf("refreshed: %v", again)
	}
	res, _ = s.do("GET", "/oauth/authorize?"+url.Values{"client_id": {"planner"}, "request_uri": {uri}}.Encode(), nil)
	if to := res.Header.Get("Location"); !strings.HasPrefix(to, planned+"?error=invalid_request_uri&") {
		t.Errorf("the pushed request once more: %d to %q", res.StatusCode, to)
	}
}

// verified checks an ID token with the key set that the server publishes.
func (s *site) verified(text string) map[string]any {
	s.t.Helper()
	_, body := s.do("GET", "/.well-known/jwks.json", nil)
	keys, err := jose.ParseKeySet([]byte(body))
	s.must(err)
	m, err := jose.Parse(text, jose.Limits{})
	s.must(err)
	key, ok := keys.Find(m.Header.KeyID, m.Header.Algorithm)
	if !ok {
		s.t.Fatalf("no key %s in %s", m.Header.KeyID, body)
	}
	payload, err := m.Verify(key)
	s.must(err)
	var claims map[string]any
	s.must(json.Unmarshal(payload, &claims))
	return claims
}
