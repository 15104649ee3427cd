package app_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
)

const mine = "https://app.example/cb"

func byToken(c *config.Config) { c.Registration = config.RegistrationToken }
func openToAll(c *config.Config) {
	c.Registration, c.RegistrationAPIs = config.RegistrationOpen, map[string][]string{"https://orders.example": {"orders:read"}}
}

type object = map[string]any

// answered is the status and the body of an answer in JSON.
type answered struct {
	status int
	header http.Header
	body   object
}

func (a answered) text(name string) string { s, _ := a.body[name].(string); return s }

func (a answered) want(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.text("error") != code {
		t.Errorf("got %d %v, want %d %q", a.status, a.body, status, code)
	}
	if code != "" && (a.text("client_secret") != "" || a.text("registration_access_token") != "") {
		t.Errorf("a refusal tells a secret: %v", a.body)
	}
}

// send sends JSON with a token, or without one when it is "".
func (s *site) send(method, path, token string, body any) answered {
	s.t.Helper()
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		s.must(err)
		text = string(raw)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(text))
	s.must(err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.web.Do(r)
	s.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	s.must(err)
	out := answered{status: res.StatusCode, header: res.Header}
	if len(raw) > 0 && res.Header.Get("Content-Type") == "application/json" {
		s.must(json.Unmarshal(raw, &out.body))
	}
	return out
}

// manage asks the management API as the owner of the data folder.
func (s *site) manage(method, path, body string) answered {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://localhost/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.app.Local().ServeHTTP(w, r)
	out := answered{status: w.Code, header: w.Header()}
	if w.Body.Len() > 0 {
		s.must(json.Unmarshal(w.Body.Bytes(), &out.body))
	}
	return out
}

func (s *site) invitation(body string) string {
	s.t.Helper()
	a := s.manage("POST", "/invitations", body)
	if a.status != 201 || a.text("token") == "" || a.text("registration_endpoint") != s.url+"/oauth/register" {
		s.t.Fatalf("invitation: %d %v", a.status, a.body)
	}
	return a.text("token")
}

func plain(more object) object {
	out := object{"redirect_uris": []string{mine}, "client_name": "Planner"}
	maps.Copy(out, more)
	return out
}

// enter leads ada from an authorization request to its answer. It returns the consent
// page too.
func (s *site) enter(clientID, redirect, scope string) (q url.Values, consent string) {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	s.must(err)
	s.web.Jar = jar // nobody is signed in
	sum := sha256.Sum256([]byte(verifier))
	_, login := s.do("GET", "/oauth/authorize?"+url.Values{
		"client_id": {clientID}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {scope}, "state": {"st"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	form := fieldsOf(login)
	if !form.Has("flow") {
		return nil, login
	}
	form.Set("login", "ada@example.com")
	form.Set("password", password)
	res, consent := s.do("POST", "/login", form)
	body := consent
	if form = fieldsOf(consent); form.Has("step") {
		form.Set("decision", "allow")
		res, body = s.do("POST", "/oauth/consent", form)
	}
	back, err := res.Location()
	if err != nil || !strings.HasPrefix(back.String(), redirect+"?") {
		s.t.Fatalf("no answer: %d %v %s", res.StatusCode, back, body)
	}
	return back.Query(), consent
}

func (s *site) token(form url.Values, headers ...string) answered {
	s.t.Helper()
	res, body := s.do("POST", "/oauth/token", form, headers...)
	out := answered{status: res.StatusCode}
	s.must(json.Unmarshal([]byte(body), &out.body))
	return out
}

func TestNobodyRegistersUnlessTheOperatorSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, method := range []string{"POST", "GET", "PUT", "DELETE"} {
		for _, path := range []string{"/oauth/register", "/oauth/register/planner"} {
			if a := s.send(method, path, "token", plain(nil)); a.status != 404 && a.status != 405 {
				t.Errorf("%s %s: %d %v", method, path, a.status, a.body)
			}
		}
	}
	a := s.send("GET", "/.well-known/openid-configuration", "", nil)
	for _, name := range []string{"registration_endpoint", "client_id_metadata_document_supported"} {
		if _, there := a.body[name]; there {
			t.Errorf("metadata has %s", name)
		}
	}
	s.manage("POST", "/invitations", "{}").want(t, 409, "conflict")

	on := newSite(t, openToAll, byDocument)
	a = on.send("GET", "/.well-known/oauth-authorization-server", "", nil)
	if a.text("registration_endpoint") != on.url+"/oauth/register" || a.body["client_id_metadata_document_supported"] != true {
		t.Errorf("metadata: %v", a.body)
	}
	on.send("POST", "/oauth/register", "", plain(nil)).want(t, 201, "")
}

// What the client library of the Model Context Protocol sends, from registration to
// the end.
func TestRegisteredClientGetsTokensAndLosesThemWithItsRegistration(t *testing.T) {
	t.Parallel()
	s := newSite(t, openToAll)
	const back = "http://localhost:3118/callback"
	a := s.send("POST", "/oauth/register", "", object{
		"client_name": "Inspector", "redirect_uris": []string{back}, "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": "none", "software_id": "x", "client_name#de": "Prüfer", "tos_uri": nil,
	})
	a.want(t, 201, "")
	id := a.text("client_id")
	if !strings.HasPrefix(id, "cli_") || a.text("client_secret") != "" || a.text("registration_client_uri") != s.url+"/oauth/register/"+id {
		t.Errorf("answer: %v", a.body)
	}
	for name, want := range map[string]any{
		"application_type": "native", "subject_type": "public", "id_token_signed_response_alg": "RS256", "client_name": "Inspector",
		"token_endpoint_auth_method": "none", "scope": "address email offline_access openid orders:read phone profile",
	} {
		if a.body[name] != want {
			t.Errorf("%s is %v, want %v", name, a.body[name], want)
		}
	}
	q, consent := s.enter(id, back, "openid orders:read")
	if !strings.Contains(consent, "not verified") || !strings.Contains(consent, "localhost:3118") {
		t.Errorf("consent page: %s", consent)
	}
	tokens := s.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {q.Get("code")}, "redirect_uri": {back}, "code_verifier": {verifier},
	})
	tokens.want(t, 200, "")
	if claims := s.verified(tokens.text("id_token")); claims["aud"] != id {
		t.Errorf("ID token: %v", claims)
	}
	refreshed := s.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {tokens.text("refresh_token")}})
	refreshed.want(t, 200, "")

	rat := a.text("registration_access_token")
	a = s.send("PUT", "/oauth/register/"+id, rat, object{"client_id": id, "redirect_uris": []string{back}, "token_endpoint_auth_method": "none", "client_name": "Other",
		"grant_types": []string{"authorization_code", "refresh_token"}, "scope": "openid"})
	a.want(t, 200, "")
	if a.text("scope") != "openid" || a.text("client_name") != "Other" {
		t.Errorf("changed: %v", a.body)
	}
	rat = a.text("registration_access_token")
	if a = s.send("DELETE", "/oauth/register/"+id, rat, nil); a.status != 204 {
		t.Fatalf("removed: %d %v", a.status, a.body)
	}
	s.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {refreshed.text("refresh_token")}}).want(t, 401, "invalid_client")
	s.send("GET", "/oauth/register/"+id, rat, nil).want(t, 401, "invalid_token")
	info, _ := s.do("GET", "/oauth/userinfo", nil, "Authorization", "Bearer "+tokens.text("access_token"))
	if info.StatusCode != 401 {
		t.Errorf("its access token: %d", info.StatusCode)
	}
}

// DCR-002: who is not invited does not come in.
func TestAttackUninvitedClientIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := newSite(t, byToken)
	before := s.send("POST", "/oauth/register", s.invitation("{}"), plain(nil))
	before.want(t, 201, "")
	if !strings.HasPrefix(before.text("client_id"), "cli_") || len(before.text("client_secret")) != 43 || before.body["client_secret_expires_at"] != 0.0 {
		t.Errorf("registered: %v", before.body)
	}
	used, twice, late := s.invitation("{}"), s.invitation(`{"uses":2}`), s.invitation(`{"for":"1h"}`)
	s.send("POST", "/oauth/register", used, plain(object{"grant_types": []string{"client_credentials"}})).want(t, 400, "invalid_client_metadata")
	s.send("POST", "/oauth/register", used, plain(nil)).want(t, 201, "")
	for range 2 {
		s.send("POST", "/oauth/register", twice, plain(nil)).want(t, 201, "")
	}
	s.now.Store(int64(61 * time.Minute))
	for name, token := range map[string]string{
		"none": "", "made up": strings.Repeat("A", 43), "used": used, "used twice": twice, "expired": late,
		"of a registration": before.text("registration_access_token"), "a secret": before.text("client_secret"),
	} {
		a := s.send("POST", "/oauth/register", token, plain(nil))
		if a.want(t, 401, "invalid_token"); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: challenge %q", name, a.header.Get("WWW-Authenticate"))
		}
	}
	for _, path := range []string{"/OAuth/Register", "/oauth/register/", "/oauth//register", "/oauth/register?token=" + late} {
		if a := s.send("POST", path, "", plain(nil)); a.status < 300 {
			t.Errorf("%s: %d %v", path, a.status, a.body)
		}
	}
	after := s.invitation("{}")
	var in atomic.Int32
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if s.send("POST", "/oauth/register", after, plain(nil)).status == 201 {
				in.Add(1)
			}
		})
	}
	if all.Wait(); in.Load() != 1 {
		t.Errorf("one use let %d in", in.Load())
	}
}

// DCR-005: a registration token is good for one client, until it is changed, and while
// the client is there.
func TestAttackMisusedRegistrationTokenIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, openToAll)
	enroll := func() (id, token, secret string) {
		a := s.send("POST", "/oauth/register", "", plain(nil))
		a.want(t, 201, "")
		return a.text("client_id"), a.text("registration_access_token"), a.text("client_secret")
	}
	x, xToken, xSecret := enroll()
	y, yToken, _ := enroll()
	try := func(t *testing.T, id, token string) {
		t.Helper()
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			s.send(method, "/oauth/register/"+id, token, plain(object{"client_id": id})).want(t, 401, "invalid_token")
		}
	}
	good := func(id, token string) string {
		t.Helper()
		s.send("GET", "/oauth/register/"+id, token, nil).want(t, 200, "")
		a := s.send("PUT", "/oauth/register/"+id, token, plain(object{"client_id": id}))
		a.want(t, 200, "")
		return a.text("registration_access_token")
	}
	next := good(x, xToken)
	try(t, x, xToken) // rotated
	try(t, x, "")
	try(t, y, next)
	try(t, x, yToken)
	try(t, "planner", next) // an operator's
	try(t, "cli_00000000000000000000000000", next)
	for name, more := range map[string]object{
		"another id": {"client_id": y}, "no id": {"client_id": nil}, "another secret": {"client_id": x, "client_secret": "a-secret-of-its-own-choice"},
		"a token": {"client_id": x, "registration_access_token": next},
	} {
		if a := s.send("PUT", "/oauth/register/"+x, next, plain(more)); a.status != 400 {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	a := s.send("PUT", "/oauth/register/"+x, next, plain(object{"client_id": x, "client_secret": xSecret}))
	if a.want(t, 200, ""); a.text("client_secret") != "" {
		t.Errorf("the secret changed: %v", a.body)
	}
	next = a.text("registration_access_token")
	s.manage("PATCH", "/clients/"+x, `{"disabled":true}`).want(t, 200, "")
	try(t, x, next)
	if a := s.manage("GET", "/clients/"+x, ""); a.body["disabled"] != true || a.text("source") != "registration" {
		t.Errorf("the disabled client: %v", a.body)
	}
	s.manage("PATCH", "/clients/"+x, `{"disabled":false}`).want(t, 200, "")
	next = good(x, next)
	s.manage("DELETE", "/clients/"+x, "")
	try(t, x, next)
	good(y, yToken)
}

// REDIR-013: dangerous addresses, at registration and at a change of it.
func TestAttackDangerousAddressIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := newSite(t, openToAll)
	first := s.send("POST", "/oauth/register", "", plain(nil))
	first.want(t, 201, "")
	id, token := first.text("client_id"), first.text("registration_access_token")
	for i, uri := range []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://app.example/x", "about:blank",
		"/cb", "//evil.test", "https://app.example/cb#x", "https://app.example/*", "https://*.app.example/cb", "http://app.example/cb", "https://user@app.example/cb", `https://app.example\@evil.test/`,
	} {
		// What is tested is not how many come from one network.
		s.now.Store(int64(time.Duration(i) * time.Hour))
		for name, bad := range map[string]object{"redirect_uris": {"redirect_uris": []string{mine, uri}}, "post_logout_redirect_uris": {"post_logout_redirect_uris": []string{uri}}} {
			t.Run(name+" "+uri, func(t *testing.T) {
				s.send("POST", "/oauth/register", "", plain(bad)).want(t, 400, "invalid_redirect_uri")
				bad["client_id"] = id
				s.send("PUT", "/oauth/register/"+id, token, plain(bad)).want(t, 400, "invalid_redirect_uri")
			})
		}
		if strings.HasSuffix(uri, "*") || strings.Contains(uri, "//*") {
			continue // shown, or linked to: no address to return to
		}
		for _, name := range []string{"logo_uri", "initiate_login_uri", "client_uri", "jwks_uri"} {
			a := s.send("PUT", "/oauth/register/"+id, token, plain(object{"client_id": id, name: uri}))
			a.want(t, 400, "invalid_client_metadata")
		}
	}
	s.send("PUT", "/oauth/register/"+id, token, plain(object{
		"client_id": id, "logo_uri": "https://app.example/logo.png", "initiate_login_uri": "https://app.example/in", "post_logout_redirect_uris": []string{"https://app.example/bye"},
	})).want(t, 200, "")
}

func TestRegistrationSaysWhatItDoesNotSupport(t *testing.T) {
	t.Parallel()
	s := newSite(t, byToken)
	invitation := s.invitation(`{"uses":100}`)
	list := func(v ...string) []string { return v }
	for name, c := range map[string]struct {
		more object
		code string
	}{
		"defaults":             {object{}, ""},
		"a native application": {object{"application_type": "native", "redirect_uris": list("com.example.app:/cb", "http://127.0.0.1/cb")}, ""},
		"unknown members":      {object{"profile": "certification", "consent": "skip", "first_party": true, "assertion_issuers": 7, "x": 1}, ""},
		"no redirect URI":      {object{"redirect_uris": nil}, "invalid_redirect_uri"},
		"web on loopback":      {object{"application_type": "web", "redirect_uris": list("http://127.0.0.1/cb")}, "invalid_redirect_uri"},
		"implicit":             {object{"grant_types": list("implicit")}, "invalid_client_metadata"},
		"client_credentials":   {object{"grant_types": list("authorization_code", "client_credentials")}, "invalid_client_metadata"},
		"devices":              {object{"grant_types": list("authorization_code", "urn:ietf:params:oauth:grant-type:device_code")}, "invalid_client_metadata"},
		"a token response":     {object{"response_types": list("code", "id_token")}, "invalid_client_metadata"},
		"pairwise":             {object{"subject_type": "pairwise"}, "invalid_client_metadata"},
		"a certificate":        {object{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a.example"}, "invalid_client_metadata"},
		"an HMAC":              {object{"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"},
		"an unsigned ID token": {object{"id_token_signed_response_alg": "none"}, "invalid_client_metadata"},
		"encryption":           {object{"id_token_encrypted_response_alg": "RSA-OAEP"}, "invalid_client_metadata"},
		"a scope of others":    {object{"scope": "openid orders:read"}, "invalid_client_metadata"},
		"management":           {object{"scope": "users:read"}, "invalid_client_metadata"},
		"two sources of keys":  {object{"jwks_uri": "https://app.example/k", "jwks": object{"keys": []any{}}}, "invalid_client_metadata"},
		"no keys":              {object{"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"},
		"a wrong type":         {object{"client_name": 7}, "invalid_client_metadata"},
		"a name turned around": {object{"client_name": "Planner\u202egnp"}, "invalid_client_metadata"},
		"a plain sector":       {object{"sector_identifier_uri": "http://127.0.0.1/sector"}, "invalid_client_metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.send("POST", "/oauth/register", invitation, plain(c.more))
			if c.code != "" {
				a.want(t, 400, c.code)
				return
			}
			a.want(t, 201, "")
			for _, own := range []string{"profile", "consent", "assertion_issuers", "first_party"} {
				if _, there := a.body[own]; there {
					t.Errorf("answer has %s", own)
				}
			}
			got := s.manage("GET", "/clients/"+a.text("client_id"), "")
			if apis := got.body["apis"].(object); len(apis) != 1 || got.body["first_party"] != false {
				t.Errorf("client: %v", got.body)
			}
		})
	}
	if left := s.manage("GET", "/clients", ""); len(left.body["items"].([]any)) != 4 {
		t.Errorf("refused clients are there: %v", left.body)
	}
}

func TestOpenRegistrationIsSlowedByNetwork(t *testing.T) {
	t.Parallel()
	s := newSite(t, openToAll)
	for range 21 {
		s.send("POST", "/oauth/register", "", plain(nil)).want(t, 201, "")
	}
	if a := s.send("POST", "/oauth/register", "", plain(nil)); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", a.status, a.body)
	}
	s.send("POST", "/oauth/register", s.invitation("{}"), plain(nil)).want(t, 201, "") // who is invited does not wait
	s.now.Store(int64(time.Hour + time.Minute))
	s.send("POST", "/oauth/register", "", plain(nil)).want(t, 201, "")
}
