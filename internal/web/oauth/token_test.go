package oauth_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

func TestClientCredentialsGiveAToken(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.post("/oauth/token", "billing", "grant_type", "client_credentials", "resource", orders, "scope", "orders:read")
	a.want(t, 200, "")
	if a.text("token_type") != "Bearer" || a.text("scope") != "orders:read" || a.body["expires_in"] != 300.0 || a.text("refresh_token") != "" {
		t.Errorf("got %s", a.Body)
	}
	m, err := jose.Parse(a.text("access_token"), jose.Limits{})
	if err != nil || m.Header.Type != "at+jwt" {
		t.Fatalf("got header %+v, %v", m.Header, err)
	}
	set, err := jose.ParseKeySet(g.get("/.well-known/jwks.json").Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	key, ok := set.Find(m.Header.KeyID, m.Header.Algorithm)
	if !ok {
		t.Fatal("the key is not in the published set")
	}
	if _, err := m.Verify(key); err != nil {
		t.Fatal(err)
	}
}

func TestAudienceIsAnotherNameForResource(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "audience", orders).want(t, 200, "")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "audience", orders, "resource", orders).want(t, 200, "")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "audience", orders, "resource", ledger).want(t, 400, "invalid_target")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "audience", "https://nowhere.example").want(t, 400, "invalid_target")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials").want(t, 400, "invalid_target")
}

func TestClientProvesItselfInEachWay(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	ask := []string{"grant_type", "client_credentials", "resource", orders}
	g.post("/oauth/token", "billing", ask...).want(t, 200, "")
	g.post("/oauth/token", "", append(ask, "client_id", "billing", "client_secret", secret)...).want(t, 200, "")
	g.post("/oauth/token", "billing", append(ask, "client_id", "billing")...).want(t, 200, "")
	_, tokens := g.signIn("shop-web")
	g.post("/oauth/token", "", "client_id", "shop-web", "grant_type", "refresh_token", "refresh_token", tokens.RefreshToken).want(t, 200, "")
}

// basic sends an Authorization header as it stands.
func (g rig) basic(header string, fields ...string) answer {
	r := formRequest("/oauth/token", append([]string{"grant_type", "client_credentials", "resource", orders}, fields...)...)
	r.Header.Set("Authorization", header)
	return g.do(r)
}

func encoded(userinfo string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo))
}

func TestBrokenClientAuthenticationIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const good = "billing:p%2Bss+w%25rd%3Awith-everything"
	g.basic(encoded(good)).want(t, 200, "")
	g.basic(strings.Replace(encoded(good), "Basic", "bAsIc", 1)).want(t, 200, "")
	for name, header := range map[string]string{
		"not form-encoded": encoded("billing:" + secret), "broken escape": encoded("billing:%zz"), "no colon": encoded("billing"),
		"no id": encoded(":secret"), "NUL": encoded("billing:%00"), "not base64": "Basic !!!", "no value": "Basic", "empty": "Basic ",
		"bearer": "Bearer abc", "negotiate": "Negotiate abc", "wrong secret": encoded("billing:wrong"), "empty secret": encoded("billing:"),
		"public client by header": encoded("shop-web:"),
	} {
		a := g.basic(header)
		a.want(t, 401, "invalid_client")
		if !strings.HasPrefix(a.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: challenge %q", name, a.Header().Get("WWW-Authenticate"))
		}
	}
	g.basic(encoded(good), "client_secret", secret).want(t, 400, "invalid_request")
	g.basic(encoded(good), "client_id", "shop-web").want(t, 400, "invalid_request")
	g.basic(encoded(good), "client_assertion", "x", "client_assertion_type", "y").want(t, 400, "invalid_request")
	two := formRequest("/oauth/token", "grant_type", "client_credentials", "resource", orders)
	two.Header["Authorization"] = []string{encoded(good), encoded(good)}
	g.do(two).want(t, 400, "invalid_request")
	a := g.post("/oauth/token", "", "grant_type", "client_credentials", "resource", orders)
	a.want(t, 401, "invalid_client")
	if a.Header().Get("WWW-Authenticate") != "" {
		t.Error("a challenge although no header was sent")
	}
	g.post("/oauth/token", "", "client_id", "shop-web", "client_secret", "any", "grant_type", "refresh_token").want(t, 401, "invalid_client")
	g.basic(encoded(good)).want(t, 200, "")
}

// TOKEN-008: nothing tells an unknown client from a wrong secret or a disabled one.
func TestClientEnumerationGetsOneAnswer(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	ask := []string{"grant_type", "client_credentials", "resource", orders}
	g.post("/oauth/token", "billing", ask...).want(t, 200, "")
	seen := map[string]string{}
	for _, id := range []string{"nobody", "gone", "billing"} {
		a := g.post("/oauth/token", "", append(ask, "client_id", id, "client_secret", "wrong")...)
		header := a.Header().Clone()
		header.Del("X-Request-Id")
		seen[fmt.Sprint(a.Code, a.Body, header)] = id
	}
	right := g.post("/oauth/token", "", append(ask, "client_id", "gone", "client_secret", secret)...)
	header := right.Header().Clone()
	header.Del("X-Request-Id")
	seen[fmt.Sprint(right.Code, right.Body, header)] = "gone, right secret"
	if len(seen) != 1 {
		t.Errorf("%d different answers: %v", len(seen), seen)
	}
}

// TOKEN-002
func TestCredentialsInTheQueryAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	all := "grant_type=client_credentials&resource=https%3A%2F%2Forders.example&client_id=billing&client_secret=p%2Bss+w%25rd%3Awith-everything"
	g.do(rawRequest("/oauth/token", all)).want(t, 200, "")
	g.do(rawRequest("/oauth/token?"+all, "")).want(t, 400, "invalid_request")
	g.do(rawRequest("/oauth/token?"+all, all)).want(t, 400, "invalid_request")
	g.do(rawRequest("/oauth/token?client_id=other", all)).want(t, 400, "invalid_request")
	first, second, _ := strings.Cut(all, "&client_id")
	g.do(rawRequest("/oauth/token?client_id"+second, first)).want(t, 400, "invalid_request")
	g.do(rawRequest("/oauth/token", all)).want(t, 200, "")
	if strings.Contains(g.logged.String(), "with-everything") {
		t.Error("a secret is in the log")
	}
}

// TOKEN-003, TOKEN-004
func TestFormThatTwoReadersReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	all := "grant_type=client_credentials&resource=https%3A%2F%2Forders.example&client_id=billing&client_secret=p%2Bss+w%25rd%3Awith-everything"
	g.do(rawRequest("/oauth/token", all)).want(t, 200, "")
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "&f%d", i)
	}
	for name, body := range map[string]string{
		"grant type twice": all + "&grant_type=refresh_token", "same value twice": all + "&grant_type=client_credentials",
		"scope twice": all + "&scope=orders:read&scope=orders:write", "resource twice": all + "&resource=x", "client twice": all + "&client_id=gone",
		"broken escape": all + "&a=%zz", "semicolons": strings.ReplaceAll(all, "&", ";"), "NUL": all + "&scope=a%00",
		"overlong UTF-8": all + "&scope=%c0%af",
	} {
		a := g.do(rawRequest("/oauth/token", body))
		if a.Code != 400 || a.text("error") != "invalid_request" {
			t.Errorf("%s: got %d %s", name, a.Code, a.Body)
		}
	}
	if a := g.do(rawRequest("/oauth/token", all+many.String())); a.Code != 400 && a.Code != 413 {
		t.Errorf("20,000 fields: got %d", a.Code)
	}
	for _, contentType := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x"} {
		r := rawRequest("/oauth/token", all)
		r.Header.Set("Content-Type", contentType)
		g.do(r).want(t, 400, "invalid_request")
	}
	g.do(rawRequest("/oauth/token", all)).want(t, 200, "")
}

func TestGrantTypesAreThoseOfTheList(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "resource", orders).want(t, 200, "")
	g.post("/oauth/token", "billing").want(t, 400, "invalid_request")
	for _, name := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:saml2-bearer", "Client_Credentials"} {
		g.post("/oauth/token", "billing", "grant_type", name, "resource", orders).want(t, 400, "unsupported_grant_type")
	}
	g.post("/oauth/token", "", "client_id", "shop-web", "grant_type", "client_credentials", "resource", orders).want(t, 400, "unauthorized_client")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "resource", orders, "scope", "orders:write").want(t, 400, "invalid_scope")
	g.post("/oauth/token", "billing", "grant_type", "client_credentials", "resource", orders, "scope", "orders:read\torders:write").want(t, 400, "invalid_scope")
	g.post("/oauth/token", "billing", "grant_type", "refresh_token").want(t, 400, "invalid_request")
}

// HTTP-009
func TestWrongMethodAndPathGiveNoToken(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	ask := []string{"grant_type", "client_credentials", "resource", orders, "client_id", "billing", "client_secret", secret}
	g.post("/oauth/token", "", ask...).want(t, 200, "")
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "TRACE", "FROB"} {
		r := formRequest("/oauth/token", ask...)
		r.Method = method
		if a := g.do(r); a.Code != 405 {
			t.Errorf("%s: got %d", method, a.Code)
		}
	}
	for _, path := range []string{"//oauth/token", "/oauth/token/", "/OAUTH/TOKEN", "/.well-known/../oauth/token", "/oauth%2Ftoken"} {
		r := formRequest("/oauth/token", ask...)
		u := *r.URL
		parsed, err := u.Parse("https://auth.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.URL.RawPath = path, parsed.RawPath
		if w := g.raw(r); w.Code != 404 && w.Code != 307 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
	override := formRequest("/oauth/token", append(ask, "_method", "GET")...)
	override.Header.Set("X-HTTP-Method-Override", "DELETE")
	g.do(override).want(t, 200, "")
}

// SESS-009: what a browser holds means nothing to the protocol endpoints.
func TestSessionCookieIsNoClientCredential(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	cookie, tokens := g.signIn("shop-web")
	r := formRequest("/oauth/token", "grant_type", "refresh_token", "refresh_token", tokens.RefreshToken)
	r.AddCookie(&http.Cookie{Name: "__Host-Http-wafer", Value: cookie})
	g.do(r).want(t, 401, "invalid_client")
}

// CSRF-006
func TestOnlyRegisteredPagesMayReadTokens(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for _, origin := range []string{"https://shop.example", "https://evil.test", "null", "https://shop.example.evil.test", "https://SHOP.example", "http://shop.example"} {
			for _, method := range []string{"OPTIONS", "POST"} {
				r := formRequest(path, "client_id", "shop-web")
				r.Method = method
				r.Header.Set("Origin", origin)
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization")
				want := ""
				if origin == "https://shop.example" && path != "/oauth/introspect" {
					want = origin
				}
				if got := g.do(r).Header().Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s %s from %s: allowed %q", method, path, origin, got)
				}
			}
		}
	}
}
