package main

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

const mainJobSetup = `
apis:
  - id: https://orders.example
    name: Orders
    token: {format: jwt, alg: RS256, lifetime: 5m}
    scopes: [orders:read, orders:write]
    stale: degrade
  - id: https://notes.example
    token: {format: jwt, alg: HS256}
    scopes: [notes:read]
  - id: https://vault.example
    token: {format: jwe, alg: EdDSA, encrypt: {alg: ECDH-ES, enc: A256GCM, jwk_file: ./vault.pub.jwk}}
    scopes: [vault:open]
  - id: https://mail.example
    token: {format: opaque}
    scopes: [mail:read]
clients:
  - id: shop-web
    name: Shop
    kind: public
    first_party: true
    redirect_uris: [http://localhost:3000/callback]
    origins: [http://localhost:3000]
    grants: [authorization_code, refresh_token]
    apis: {https://orders.example: [orders:read], https://notes.example: ["*"], https://vault.example: [vault:open], https://mail.example: [mail:read]}
  - id: orders-api
    kind: confidential
    secret: orders-api-secret-for-local-use
    grants: [client_credentials]
    apis: {management: [feed:read, sessions:check]}
roles:
  - {id: clerk, scopes: {https://orders.example: [orders:read], https://notes.example: [notes:read], https://vault.example: [vault:open], https://mail.example: [mail:read]}}
users:
  - {login: ada@example.com, password: correct-horse-battery-staple, roles: [clerk]}
`

var good = map[string]string{"login": "ada@example.com", "password": "correct-horse-battery-staple"}

// house starts a server with the set-up of the main job.
func house(t *testing.T) (r *running, setup string, vault *jose.DecryptionKey) {
	t.Helper()
	dir := t.TempDir()
	vault, err := jose.GenerateDecryptionKey("ECDH-ES", "vault-1")
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(vault.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "vault.pub.jwk", string(public))
	setup = write(t, dir, "setup.yaml", mainJobSetup)
	return serve(t, dir+"/data", "--apply", setup), setup, vault
}

func (r *running) signIn(api string) (cookie string, tokens reply) {
	r.t.Helper()
	in := map[string]string{"login": good["login"], "password": good["password"], "client_id": "shop-web", "api": api}
	res := r.want(http.StatusCreated, ask{method: "POST", path: "/session", json: in})
	return res.cookieOf(r.t).Value, res
}

func (r *running) introspect(token, api string) bool {
	r.t.Helper()
	form := map[string]string{"token": token}
	if api != "" {
		form["api"] = api
	}
	res := r.want(http.StatusOK, ask{method: "POST", path: "/oauth/introspect", basic: [2]string{"orders-api", "orders-api-secret-for-local-use"}, form: form})
	active, _ := res.body["active"].(bool)
	return active
}

func TestSignInSetsAStrictCookie(t *testing.T) {
	t.Parallel()
	r, _, _ := house(t)
	bad := map[string]string{"login": good["login"], "password": "correct-horse-battery-stapler"}
	r.want(http.StatusUnauthorized, ask{method: "POST", path: "/session", json: bad})
	res := r.want(http.StatusCreated, ask{method: "POST", path: "/session", json: good})
	c := res.cookieOf(t)
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie is %q", res.Header["Set-Cookie"])
	}
	if strings.Contains(res.text, c.Value) {
		t.Error("the cookie's value stands in the body too")
	}
	me := r.want(http.StatusOK, ask{method: "GET", path: "/session", cookie: c.Value})
	if !strings.Contains(me.text, "ses_") {
		t.Errorf("GET /session answers %s", me.text)
	}
	r.want(http.StatusUnauthorized, ask{method: "GET", path: "/session"})
}

// An RS256 token is checked here with crypto/rsa and the published key set alone,
// an HS256 one with the text that `wafer api secret` printed.
func TestTokensVerifyWithoutOurLibrary(t *testing.T) {
	t.Parallel()
	r, _, vault := house(t)
	cookie, tokens := r.signIn("https://orders.example")
	verifyRS256(t, r, tokens.str("access_token"))
	swap := func(api string) string {
		return r.want(http.StatusOK, ask{method: "POST", path: "/session/token", cookie: cookie, json: map[string]string{"client_id": "shop-web", "api": api}}).str("access_token")
	}
	secret := strings.TrimSpace(mustWafer(t, "", "--data", r.data, "api", "secret", "https://notes.example"))
	verifyHS256(t, swap("https://notes.example"), secret)
	if _, errs, code := wafer(t, "", "--data", r.data, "api", "secret", "https://notes.example"); code != 1 || !strings.Contains(errs, "once") {
		t.Errorf("the secret was read twice: %d %s", code, errs)
	}
	sealed := swap("https://vault.example")
	inner, _, err := jose.Decrypt(sealed, vault)
	if err != nil || strings.Count(sealed, ".") != 4 || strings.Count(inner, ".") != 2 {
		t.Errorf("decrypted %q from %q: %v", inner, sealed, err)
	}
	if !r.introspect(inner, "") || r.introspect(sealed, "") {
		t.Error("introspection of the inner token and of the sealed one")
	}
	if handle := swap("https://mail.example"); strings.Contains(handle, ".") || !r.introspect(handle, "") {
		t.Errorf("opaque token %q", handle)
	}
}

func verifyRS256(t *testing.T, r *running, text string) {
	t.Helper()
	parts := strings.Split(text, ".")
	var header struct{ Alg, Kid, Typ string }
	decode(t, parts[0], &header)
	if header.Alg != "RS256" || header.Typ != "at+jwt" {
		t.Errorf("header is %+v", header)
	}
	set := r.want(http.StatusOK, ask{method: "GET", path: "/.well-known/jwks.json"})
	var keys struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(set.text), &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := k[private]; there {
				t.Errorf("the key set publishes %s", private)
			}
		}
		if k["kid"] != header.Kid {
			continue
		}
		public := rsa.PublicKey{N: new(big.Int).SetBytes(raw(t, k["n"])), E: int(new(big.Int).SetBytes(raw(t, k["e"])).Int64())}
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(&public, crypto.SHA256, sum[:], raw(t, parts[2])); err != nil {
			t.Errorf("signature: %v", err)
		}
		return
	}
	t.Errorf("no key %s in the key set", header.Kid)
}

func verifyHS256(t *testing.T, text, secret string) {
	t.Helper()
	parts := strings.Split(text, ".")
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(parts[0] + "." + parts[1]))
	if !hmac.Equal(m.Sum(nil), raw(t, parts[2])) {
		t.Error("the HS256 token does not verify with the printed secret")
	}
}

func raw(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t *testing.T, s string, into any) {
	t.Helper()
	if err := json.Unmarshal(raw(t, s), into); err != nil {
		t.Fatal(err)
	}
}

func TestRefreshTwiceThenLogout(t *testing.T) {
	t.Parallel()
	r, _, _ := house(t)
	cookie, tokens := r.signIn("https://orders.example")
	refresh := func(text string) ask {
		return ask{method: "POST", path: "/oauth/token", form: map[string]string{"grant_type": "refresh_token", "client_id": "shop-web", "refresh_token": text}}
	}
	one := r.want(http.StatusOK, refresh(tokens.str("refresh_token")))
	two := r.want(http.StatusOK, refresh(tokens.str("refresh_token")))
	if one.str("refresh_token") == "" || one.str("refresh_token") != two.str("refresh_token") {
		t.Error("refreshing twice with one token gave two successors")
	}
	if !r.introspect(cookie, "https://orders.example") || !r.introspect(two.str("access_token"), "") {
		t.Error("cookie or token is not active before logout")
	}
	r.want(http.StatusNoContent, ask{method: "DELETE", path: "/session", cookie: cookie})
	r.want(http.StatusUnauthorized, ask{method: "GET", path: "/session", cookie: cookie})
	if res := r.want(http.StatusBadRequest, refresh(two.str("refresh_token"))); res.str("error") != "invalid_grant" {
		t.Errorf("refresh after logout says %s", res.text)
	}
	for name, text := range map[string]string{"first": tokens.str("access_token"), "second": one.str("access_token"), "third": two.str("access_token")} {
		if r.introspect(text, "") {
			t.Errorf("the %s access token is active after logout", name)
		}
	}
	if r.introspect(cookie, "https://orders.example") {
		t.Error("the cookie is active after logout")
	}
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	r, setup, _ := house(t)
	if out := mustWafer(t, "", "--data", r.data, "apply", "-f", setup); !strings.Contains(out, "nothing to change") {
		t.Errorf("the second time said:\n%s", out)
	}
	edited := strings.Replace(mainJobSetup, "lifetime: 5m", "lifetime: 10m", 1)
	if err := os.WriteFile(setup, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := mustWafer(t, "", "--data", r.data, "apply", "-f", setup); !strings.Contains(out, "lifetime") {
		t.Errorf("the edit said:\n%s", out)
	}
	_, tokens := r.signIn("https://orders.example")
	if left, _ := tokens.body["expires_in"].(float64); left > 600 || left < 540 {
		t.Errorf("expires_in is %v after the edit", left)
	}
}

func TestSessionsAndRefreshSurviveARestart(t *testing.T) {
	t.Parallel()
	r, _, _ := house(t)
	cookie, tokens := r.signIn("https://orders.example")
	gone, _ := r.signIn("https://orders.example")
	r.want(http.StatusNoContent, ask{method: "DELETE", path: "/session", cookie: gone})
	r.stop()
	again := serveOn(t, r.data, strings.TrimPrefix(r.url, "http://localhost:"))
	again.want(http.StatusOK, ask{method: "GET", path: "/session", cookie: cookie})
	again.want(http.StatusUnauthorized, ask{method: "GET", path: "/session", cookie: gone})
	if !again.introspect(tokens.str("access_token"), "") {
		t.Error("a token from before the restart is not active")
	}
	again.want(http.StatusOK, ask{method: "POST", path: "/oauth/token", form: map[string]string{
		"grant_type": "refresh_token", "client_id": "shop-web", "refresh_token": tokens.str("refresh_token"),
	}})
}

func TestRevokeFromTheCommandLine(t *testing.T) {
	t.Parallel()
	r, _, _ := house(t)
	cookie, tokens := r.signIn("https://orders.example")
	other, _ := r.signIn("https://orders.example")
	if out := mustWafer(t, "", "--data", r.data, "token", "inspect", tokens.str("access_token")); strings.Contains(out, "FAILED") {
		t.Errorf("inspection before:\n%s", out)
	}
	if out := mustWafer(t, "", "--data", r.data, "--json", "revoke", "--user", "ada@example.com"); !strings.Contains(out, `"seq"`) {
		t.Errorf("revoke printed %s", out)
	}
	r.want(http.StatusUnauthorized, ask{method: "GET", path: "/session", cookie: cookie})
	r.want(http.StatusUnauthorized, ask{method: "GET", path: "/session", cookie: other})
	if r.introspect(tokens.str("access_token"), "") {
		t.Error("the access token is active after the revocation")
	}
	if out := mustWafer(t, tokens.str("access_token")+"\n", "--data", r.data, "token", "inspect"); !strings.Contains(out, "FAILED") {
		t.Errorf("inspection after:\n%s", out)
	}
	r.signIn("https://orders.example")
}
