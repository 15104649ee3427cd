package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	webBack  = "https://web.example/cb"
	verifier = "a-verifier-of-at-least-forty-three-characters-0123"
)

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// wants is an authorization request of a client that is all right, as name, value.
func wants(clientID, scope string) []string {
	return []string{
		"client_id", clientID, "redirect_uri", webBack, "response_type", "code", "scope", scope, "state", "s", "nonce", "n",
		"code_challenge", challenge(), "code_challenge_method", "S256",
	}
}

// code is what ada allows a client, as a code.
func (g rig) code(clientID, scope string) string {
	g.t.Helper()
	sess, _, err := g.sessions.Start(g.t.Context(), session.Login{UserID: ada().ID, AMR: []string{"pwd"}})
	g.must(err)
	p := authorize.Params{}
	list := wants(clientID, scope)
	for i := 0; i < len(list); i += 2 {
		p[list[i]] = []string{list[i+1]}
	}
	return g.allow(p, sess)
}

func (g rig) allow(p authorize.Params, sess session.Session) string {
	g.t.Helper()
	r, err := g.requests.Read(g.t.Context(), p)
	g.must(err)
	w := authorize.Who{Browser: "a browser", Session: &sess}
	d, err := g.requests.Decide(g.t.Context(), r, w)
	g.must(err)
	a := d.Answer
	if d.Next == authorize.Consent {
		a, err = g.requests.Allow(g.t.Context(), d.Step, w)
		g.must(err)
	}
	if len(a.Fields) == 0 || a.Fields[0].Name != "code" {
		g.t.Fatalf("no code: %+v", d)
	}
	return a.Fields[0].Value
}

func (g rig) redeem(clientID, code string, more ...string) answer {
	g.t.Helper()
	return g.post("/oauth/token", clientID, append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", webBack, "code_verifier", verifier}, more...)...)
}

func TestCODE001To003CodesAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	got := g.redeem("web", g.code("web", "openid orders:read"))
	got.want(t, 200, "")
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if got.text(name) == "" {
			t.Errorf("no %s: %s", name, got.Body)
		}
	}
	if got.text("scope") != "openid orders:read" || got.text("token_type") != "Bearer" {
		t.Errorf("tokens %s", got.Body)
	}
	t.Run("CODE-001", func(t *testing.T) {
		code := g.code("web", "openid orders:read")
		first := g.redeem("web", code)
		first.want(t, 200, "")
		g.redeem("web", code).want(t, 400, "invalid_grant")
		g.post("/oauth/token", "web", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token")).want(t, 400, "invalid_grant")
		if g.active(first.text("access_token")) {
			t.Error("the first token is still good")
		}
	})
	t.Run("CODE-003", func(t *testing.T) {
		code := g.code("web", "openid orders:read")
		g.redeem("signed", code).want(t, 400, "invalid_grant")
		g.redeem("web", code).want(t, 400, "invalid_grant") // burned
	})
	t.Run("CODE-007", func(t *testing.T) {
		pushed := g.post("/oauth/par", "web", wants("web", "openid")...)
		for _, other := range []string{got.text("refresh_token"), got.text("access_token"), got.text("id_token"), pushed.text("request_uri"), "ses_01arz3ndektsv4rrffq69g5fav", "s"} {
			g.redeem("web", other).want(t, 400, "invalid_grant")
		}
		code := g.code("web", "openid")
		g.post("/oauth/token", "web", "grant_type", "refresh_token", "refresh_token", code).want(t, 400, "invalid_grant")
		if g.active(code) {
			t.Error("a code is a token")
		}
		g.redeem("web", code).want(t, 200, "")
	})
	t.Run("CODE-008", func(t *testing.T) {
		code := g.code("web", "openid")
		g.forward(61 * time.Second)
		g.redeem("web", code).want(t, 400, "invalid_grant")
	})
	g.redeem("web", g.code("web", "openid")).want(t, 200, "")
}

func TestCODE002OneOfFiftyRedemptionsWins(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	code := g.code("web", "openid orders:read")
	var all sync.WaitGroup
	answers := make([]answer, 50)
	for i := range answers {
		all.Go(func() { answers[i] = g.redeem("web", code) })
	}
	all.Wait()
	won := 0
	for _, a := range answers {
		if a.Code == 200 {
			won++
			if g.active(a.text("access_token")) {
				t.Error("the family goes on after the second try")
			}
			continue
		}
		a.want(t, 400, "invalid_grant")
	}
	if won != 1 {
		t.Errorf("%d of 50 got tokens", won)
	}
}

func TestCODE009CodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	seen := map[string]bool{}
	for range 200 {
		code := g.code("web", "openid")
		if seen[code] || len(code) < 22 {
			t.Fatalf("code %q", code)
		}
		seen[code] = true
	}
	code := g.code("web", "openid")
	for i := 4; i < len(code); i++ {
		other := "A"
		if code[i] == 'A' {
			other = "B"
		}
		g.redeem("web", code[:i]+other+code[i+1:]).want(t, 400, "invalid_grant")
	}
	g.redeem("web", code).want(t, 200, "")
}

func TestCodeRequestsAreWhole(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.post("/oauth/token", "web", "grant_type", "authorization_code", "code_verifier", verifier).want(t, 400, "invalid_request")
	code := g.code("web", "orders:read")
	g.redeem("web", code, "resource", ledger).want(t, 400, "invalid_target")
	g.redeem("web", code, "resource", orders).want(t, 200, "") // naming the wrong API burned nothing
	g.post("/oauth/token", "web", "grant_type", "authorization_code", "code", g.code("web", "openid"), "redirect_uri", webBack).want(t, 400, "invalid_grant")
	g.redeem("bystander", g.code("web", "openid")).want(t, 400, "invalid_grant")
}

func TestPushedRequestsOverHTTP(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	good := func() string {
		a := g.post("/oauth/par", "web", wants("web", "openid orders:read")...)
		a.want(t, 201, "")
		if n, _ := a.body["expires_in"].(float64); n < 60 || n > 90 {
			t.Errorf("expires_in %v", n)
		}
		return a.text("request_uri")
	}
	uri := good()
	g.post("/oauth/par", "").want(t, 401, "invalid_client")
	g.post("/oauth/par", "", wants("web", "openid")...).want(t, 401, "invalid_client") // confidential, and no proof
	g.post("/oauth/par", "web", append(wants("web", "openid"), "request_uri", uri)...).want(t, 400, "invalid_request")
	g.post("/oauth/par", "web", append(wants("web", "openid"), "prompt", "none login")...).want(t, 400, "invalid_request")
	g.post("/oauth/par", "web", wants("web", "users:write")...).want(t, 400, "invalid_scope")
	g.post("/oauth/par", "web", append(wants("web", "openid"), "scope", "openid")...).want(t, 400, "invalid_request")
	g.post("/oauth/par", "bystander", wants("bystander", "openid")...).want(t, 400, "invalid_request")
	r := formRequest("/oauth/par?response_type=code", wants("web", "openid")...)
	r.SetBasicAuth("web", "x")
	g.do(r).want(t, 400, "invalid_request")
	good()
	sess, _, err := g.sessions.Start(t.Context(), session.Login{UserID: ada().ID, AMR: []string{"pwd"}})
	g.must(err)
	code := g.allow(authorize.Params{"client_id": {"web"}, "request_uri": {uri}}, sess)
	g.redeem("web", code).want(t, 200, "")
	if _, err := g.requests.Read(t.Context(), authorize.Params{"client_id": {"web"}, "request_uri": {uri}}); err == nil {
		t.Error("a pushed request is good twice")
	}
}

// info asks userinfo with headers: name, value.
func (g rig) info(method, body string, headers ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	r := httptest.NewRequest(method, "/oauth/userinfo", strings.NewReader(body))
	r.Host = "auth.example"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func TestUserinfoTakesTheTokenFromHeaderAndBody(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	token := g.redeem("web", g.code("web", "openid orders:read")).text("access_token")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	want := `{"sub":"` + ada().ID + `"}`
	for name, w := range map[string]*httptest.ResponseRecorder{
		"GET": g.info("GET", "", "Authorization", "Bearer "+token), "POST": g.info("POST", "", "Authorization", "bearer "+token), "body": g.info("POST", "access_token="+token, form...),
	} {
		if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, w.Header())
		}
	}
	signed := g.info("GET", "", "Authorization", "Bearer "+g.redeem("signed", g.code("signed", "openid")).text("access_token"))
	if m, err := jose.Parse(signed.Body.String(), jose.Limits{}); err != nil || m.Header.Algorithm != jose.ES256 || signed.Header().Get("Content-Type") != "application/jwt" {
		t.Errorf("signed: %d %s %v", signed.Code, signed.Body, err)
	}
	shop := g.info("OPTIONS", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "GET")
	if got := shop.Header().Get("Access-Control-Allow-Methods"); got != "GET, POST" {
		t.Errorf("a browser application: %d %q", shop.Code, got)
	}
}

func TestUSERINFO001WrongTokens(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	tokens := g.redeem("web", g.code("web", "openid orders:read"))
	token := tokens.text("access_token")
	bearer := func(t string) []string { return []string{"Authorization", "Bearer " + t} }
	good := func() {
		if w := g.info("GET", "", bearer(token)...); w.Code != 200 {
			t.Errorf("neighbor: %d %s", w.Code, w.Body)
		}
	}
	good()
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		w    *httptest.ResponseRecorder
		code int
		want string
	}{
		"ID token":           {g.info("GET", "", bearer(tokens.text("id_token"))...), 401, "invalid_token"},
		"refresh token":      {g.info("GET", "", bearer(tokens.text("refresh_token"))...), 401, "invalid_token"},
		"client credentials": {g.info("GET", "", bearer(g.own("billing", orders))...), 403, "insufficient_scope"},
		"without openid":     {g.info("GET", "", bearer(g.redeem("web", g.code("web", "orders:read")).text("access_token"))...), 403, "insufficient_scope"},
		"made up":            {g.info("GET", "", bearer("x")...), 401, "invalid_token"},
		"as DPoP":            {g.info("GET", "", "Authorization", "DPoP "+token), 401, "invalid_token"},
		"twice":              {g.info("POST", "access_token="+token, append(form, bearer(token)...)...), 400, "invalid_request"},
		"two headers":        {g.info("GET", "", append(bearer(token), bearer(token)...)...), 400, "invalid_request"},
	} {
		if h := c.w.Header().Get("WWW-Authenticate"); c.w.Code != c.code || !strings.Contains(h, `error="`+c.want+`"`) || strings.Contains(c.w.Body.String(), ada().ID) {
			t.Errorf("%s: %d %q %s", name, c.w.Code, h, c.w.Body)
		}
	}
	r := httptest.NewRequest("GET", "/oauth/userinfo?access_token="+token, nil)
	r.Host = "auth.example"
	for name, w := range map[string]*httptest.ResponseRecorder{"in the URL": g.raw(r), "none": g.info("GET", ""), "Basic": g.info("GET", "", "Authorization", "Basic eDp5")} {
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != `Bearer realm="wafer"` || w.Body.Len() != 0 {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
	good()

	g.mustEnd(ada().ID)
	if w := g.info("GET", "", bearer(token)...); w.Code != 401 {
		t.Errorf("after logout: %d %s", w.Code, w.Body)
	}
}

// mustEnd ends every session of a user.
func (g rig) mustEnd(userID string) {
	g.t.Helper()
	_, err := g.sessions.EndAll(g.t.Context(), userID, userID, "logout")
	g.must(err)
}

func TestMetadataOfSignInIsTrue(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.get("/.well-known/openid-configuration")
	for name, want := range map[string]string{
		"authorization_endpoint": "/oauth/authorize", "pushed_authorization_request_endpoint": "/oauth/par", "userinfo_endpoint": "/oauth/userinfo",
	} {
		if a.text(name) != issuer+want {
			t.Errorf("%s is %q", name, a.text(name))
		}
	}
	for name, want := range map[string]any{
		"request_uri_parameter_supported": false, "request_parameter_supported": true, "claims_parameter_supported": true,
		"authorization_response_iss_parameter_supported": true,
	} {
		if a.body[name] != want {
			t.Errorf("%s is %v", name, a.body[name])
		}
	}
	for name, want := range map[string]string{
		"response_types_supported": "[code]", "code_challenge_methods_supported": "[S256]", "subject_types_supported": "[public]",
		"response_modes_supported": "[query form_post]", "prompt_values_supported": "[consent login none select_account]",
	} {
		if got := listed(a.body[name]); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	if strings.Contains(a.Body.String(), "HS256") || strings.Contains(listed(a.body["id_token_signing_alg_values_supported"]), "none") {
		t.Errorf("algorithms: %s", a.Body)
	}
}

func listed(v any) string {
	all, _ := v.([]any)
	var names []string
	for _, one := range all {
		s, _ := one.(string)
		names = append(names, s)
	}
	return "[" + strings.Join(names, " ") + "]"
}
