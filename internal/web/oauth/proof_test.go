package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
)

// proof makes a DPoP proof for the token endpoint, changed as a test wants. A nil
// removes a claim.
func (g rig) proof(key *jose.Key, change map[string]any) string {
	g.t.Helper()
	claims := map[string]any{"htm": "POST", "htu": issuer + "/oauth/token", "jti": opaque.Text(16), "iat": g.clock().Unix()}
	maps.Copy(claims, change)
	for name, v := range claims {
		if v == nil {
			delete(claims, name)
		}
	}
	body, err := json.Marshal(claims)
	g.must(err)
	text, err := jose.SignProof(key, dpop.Type, body)
	g.must(err)
	return text
}

type proofRequest struct {
	headers []string // of DPoP
	change  func(*http.Request)
	form    string
}

func (g rig) prove(id string, in proofRequest) answer {
	g.t.Helper()
	if in.form == "" {
		in.form = forOrders
	}
	r := rawRequest("/oauth/token", in.form+"&client_id="+id)
	if id == "billing" || id == "careful" {
		r = rawRequest("/oauth/token", in.form)
		r.SetBasicAuth(id, "p%2Bss+w%25rd%3Awith-everything")
	}
	if in.headers != nil {
		r.Header["Dpop"] = in.headers
	}
	if in.change != nil {
		in.change(r)
	}
	return g.do(r)
}

func with(proofs ...string) proofRequest { return proofRequest{headers: proofs} }

// careful registers a client whose tokens are bound by DPoP.
func (g rig) careful() {
	g.addClient(client.Client{ID: "careful", SecretHash: g.secretHash("careful"), OAuth: client.OAuth{DPoPBound: true}})
}

func TestTokensAreBoundToTheKeyOfTheProof(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, alg := range []jose.Algorithm{jose.ES256, jose.ES384, jose.PS256, jose.EdDSA} {
		key := generate(t, alg, "")
		a := g.prove("billing", with(g.proof(key, nil)))
		a.want(t, 200, "")
		if a.text("token_type") != "DPoP" || confirmation(t, a.text("access_token"))["jkt"] != key.Thumbprint() {
			t.Errorf("%s: got %s", alg, a.Body)
		}
		if a.Header().Get("DPoP-Nonce") == "" {
			t.Errorf("%s: no nonce is offered", alg)
		}
	}
	a := g.prove("billing", with())
	a.want(t, 200, "")
	if a.text("token_type") != "Bearer" || len(confirmation(t, a.text("access_token"))) != 0 || a.Header().Get("DPoP-Nonce") != "" {
		t.Errorf("without a proof: got %s", a.Body)
	}
	g.prove("billing", with(g.proof(generate(t, jose.RS256, ""), nil))).want(t, 400, "invalid_dpop_proof")
}

// DPOP-008: a client that is registered for bound tokens leaves the proof out.
func TestDowngradeToBearer(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.careful()
	key := generate(t, jose.ES256, "")
	g.prove("careful", with(g.proof(key, nil))).want(t, 200, "")
	g.prove("careful", with()).want(t, 400, "invalid_dpop_proof")
	g.prove("careful", with("")).want(t, 400, "invalid_dpop_proof")
	g.prove("careful", with(g.proof(key, nil))).want(t, 200, "")
}

// DPOP-004 and DPOP-005.
func TestProofReplay(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	key, other := generate(t, jose.ES256, ""), generate(t, jose.ES256, "")
	used := g.proof(key, nil)
	g.prove("billing", with(used)).want(t, 200, "")
	g.prove("billing", with(used)).want(t, 400, "invalid_dpop_proof")
	// Ids of one key are nothing to another, whatever is in them.
	for _, jti := range []string{"same", "a\x00b", "a|b:c", strings.Repeat("x", 256)} {
		g.prove("billing", with(g.proof(key, map[string]any{"jti": jti}))).want(t, 200, "")
		g.prove("billing", with(g.proof(key, map[string]any{"jti": jti}))).want(t, 400, "invalid_dpop_proof")
		g.prove("billing", with(g.proof(other, map[string]any{"jti": jti}))).want(t, 200, "")
	}
	for _, jti := range []any{nil, "", 7, strings.Repeat("x", 257), strings.Repeat("x", 64<<10)} {
		g.prove("billing", with(g.proof(key, map[string]any{"jti": jti}))).want(t, 400, "invalid_dpop_proof")
	}
	// Up to the edge of its time, with a nonce that makes it last longest, and after what is over was tidied up.
	late := g.proof(key, map[string]any{"nonce": g.grants.ProofNonce()})
	g.prove("billing", with(late)).want(t, 200, "")
	for range 10 {
		g.forward(time.Minute)
		_, err := g.store.PurgeTickets(t.Context(), g.clock(), 1000)
		g.must(err)
		if a := g.prove("billing", with(late)); a.Code != 400 {
			t.Fatalf("after a while: %d %s", a.Code, a.Body)
		}
	}
}

// DPOP-006: the address of the proof is compared with what is configured.
func TestProofAddress(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	key := generate(t, jose.ES256, "")
	ask := func(htu string, change func(*http.Request)) answer {
		t.Helper()
		return g.prove("billing", proofRequest{headers: []string{g.proof(key, map[string]any{"htu": htu})}, change: change})
	}
	for _, htu := range []string{issuer + "/oauth/token", issuer + "/oauth/token?a=b#c", "HTTPS://AUTH.example/oauth/token", "https://auth.example:443/oauth/token"} {
		if a := ask(htu, nil); a.Code != 200 {
			t.Errorf("%s: %d %s", htu, a.Code, a.Body)
		}
	}
	for _, htu := range []string{
		"https://evil.test/oauth/token", "http://auth.example/oauth/token", "https://auth.example:444/oauth/token", issuer + "/oauth/par", issuer + "/oauth/token/",
		issuer + "/oauth%2Ftoken", issuer + "/oauth/token/../introspect", issuer + "/OAUTH/TOKEN", issuer, "/oauth/token", "", "::",
	} {
		a := ask(htu, func(r *http.Request) {
			r.Header.Set("X-Forwarded-Host", "evil.test")
			r.Header.Set("X-Forwarded-Proto", "http")
			r.Header.Set("Forwarded", "host=evil.test;proto=http")
		})
		a.want(t, 400, "invalid_dpop_proof")
	}
	ask(issuer+"/oauth/token", func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "evil.test") }).want(t, 200, "")
	for name, change := range map[string]map[string]any{
		"another method": {"htm": "GET"}, "method in lower case": {"htm": "post"}, "no method": {"htm": nil}, "no address": {"htu": nil}, "no time": {"iat": nil},
	} {
		if a := g.prove("billing", with(g.proof(key, change))); a.text("error") != "invalid_dpop_proof" {
			t.Errorf("%s: %d %s", name, a.Code, a.Body)
		}
	}
	g.prove("billing", with(g.proof(key, nil), g.proof(key, nil))).want(t, 400, "invalid_dpop_proof")
	// At the name of certificates the address is that one.
	m, _ := mtlsRig(t)
	at := func(host, htu string) answer {
		return m.prove("billing", proofRequest{headers: []string{m.proof(key, map[string]any{"htu": htu})}, change: func(r *http.Request) { r.Host = host }})
	}
	at("mtls.auth.example", "https://mtls.auth.example/oauth/token").want(t, 200, "")
	at("auth.example", issuer+"/oauth/token").want(t, 200, "")
	at("auth.example", "https://mtls.auth.example/oauth/token").want(t, 400, "invalid_dpop_proof")
}

// CONTROL-003, and what a nonce is for.
func TestClocksOfProofs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	key := generate(t, jose.ES256, "")
	at := func(d time.Duration, nonce string) answer {
		t.Helper()
		change := map[string]any{"iat": g.clock().Add(d).Unix()}
		if nonce != "" {
			change["nonce"] = nonce
		}
		return g.prove("billing", with(g.proof(key, change)))
	}
	for _, d := range []time.Duration{-10 * time.Second, 10 * time.Second, 0, -time.Minute} {
		at(d, "").want(t, 200, "")
	}
	for _, d := range []time.Duration{-2 * time.Minute, 30 * time.Second} {
		a := at(d, "")
		a.want(t, 400, "use_dpop_nonce")
		at(d, a.Header().Get("DPoP-Nonce")).want(t, 200, "")
	}
	for _, d := range []time.Duration{-6 * time.Minute, 6 * time.Minute, -time.Hour, 24 * 365 * time.Hour} {
		at(d, "").want(t, 400, "invalid_dpop_proof")
		at(d, g.grants.ProofNonce()).want(t, 400, "invalid_dpop_proof")
	}
	at(0, "made up").want(t, 400, "use_dpop_nonce")
	nonce := g.grants.ProofNonce()
	g.forward(5 * time.Minute)
	at(0, nonce).want(t, 200, "")
	g.forward(5 * time.Minute)
	a := at(0, nonce)
	a.want(t, 400, "use_dpop_nonce")
	at(0, a.Header().Get("DPoP-Nonce")).want(t, 200, "")
}

// A client that has to try again with a nonce keeps the assertion that it sent.
func TestANonceCostsNoAssertion(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	key := generate(t, jose.ES256, "k")
	g.addClient(client.Client{ID: "bank", OAuth: client.OAuth{Profile: client.FAPI2, AuthMethod: client.AuthPrivateKeyJWT, JWKS: jwksOf(t, key), DPoPBound: true}})
	form := forOrders + "&client_assertion_type=" + strings.ReplaceAll(grant.ClientAssertion, ":", "%3A") + "&client_assertion=" + g.assertion(key, "bank", nil)
	ahead := map[string]any{"iat": g.clock().Add(30 * time.Second).Unix()}
	a := g.prove("bank", proofRequest{form: form, headers: []string{g.proof(key, ahead)}})
	a.want(t, 400, "use_dpop_nonce")
	ahead["nonce"] = a.Header().Get("DPoP-Nonce")
	proof := g.proof(key, ahead)
	// And who cannot prove to be the client uses up none of its proofs.
	g.prove("nobody", proofRequest{form: forOrders, headers: []string{proof}}).want(t, 401, "invalid_client")
	g.prove("bank", proofRequest{form: form, headers: []string{proof}}).want(t, 200, "")
	g.prove("bank", proofRequest{form: form, headers: []string{g.proof(key, nil)}}).want(t, 401, "invalid_client")
}

// spa is a public client that people sign in to.
func (g rig) spa() session.Session {
	g.t.Helper()
	g.must(g.store.AddClient(g.t.Context(), client.Client{
		ID: "spa", Kind: client.Public, Version: 1, Grants: []string{client.AuthorizationCode, client.RefreshToken},
		APIs: map[string][]string{orders: {"orders:read"}}, RedirectURIs: []string{"https://spa.example/back"},
	}, revoke.Effects{}))
	s, _, err := g.sessions.Start(g.t.Context(), session.Login{UserID: ada().ID, AMR: []string{"pwd"}})
	g.must(err)
	return s
}

func (g rig) codeFor(s session.Session, jkt string) string {
	g.t.Helper()
	scopes := []string{"openid", "orders:read"}
	_, err := g.store.GiveConsent(g.t.Context(), consent.Consent{UserID: s.UserID, ClientID: "spa", APIID: orders, Scopes: scopes}, revoke.Effects{})
	g.must(err)
	code, err := g.grants.OpenCode(g.t.Context(), oidc.Request{
		ClientID: "spa", RedirectURI: "https://spa.example/back", APIID: orders, Scopes: scopes, JKT: jkt,
		Challenge: challenge(),
	}, s, scopes)
	g.must(err)
	return "grant_type=authorization_code&code=" + code + "&code_verifier=" + verifier + "&redirect_uri=https%3A%2F%2Fspa.example%2Fback"
}

// DPOP-009: a code that is bound to a key is brought with another.
func TestCodeBoundToAKey(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	s := g.spa()
	mine, other := generate(t, jose.ES256, ""), generate(t, jose.ES256, "")
	good := func() {
		t.Helper()
		g.prove("spa", proofRequest{form: g.codeFor(s, mine.Thumbprint()), headers: []string{g.proof(mine, nil)}}).want(t, 200, "")
	}
	good()
	stolen := g.codeFor(s, mine.Thumbprint())
	g.prove("spa", proofRequest{form: stolen, headers: []string{g.proof(other, nil)}}).want(t, 400, "invalid_grant")
	g.prove("spa", proofRequest{form: g.codeFor(s, mine.Thumbprint())}).want(t, 400, "invalid_grant")
	good()
}

func TestRefreshTokensAreBoundToTheKey(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	mine, other := generate(t, jose.ES256, ""), generate(t, jose.ES256, "")
	a := g.prove("spa", proofRequest{form: g.codeFor(g.spa(), ""), headers: []string{g.proof(mine, nil)}})
	a.want(t, 200, "")
	form := "grant_type=refresh_token&refresh_token=" + a.text("refresh_token")
	for range 2 { // it is not rotated: only its client can use it
		b := g.prove("spa", proofRequest{form: form, headers: []string{g.proof(mine, nil)}})
		b.want(t, 200, "")
		if confirmation(t, b.text("access_token"))["jkt"] != mine.Thumbprint() || b.text("token_type") != "DPoP" {
			t.Errorf("got %s", b.Body)
		}
	}
	g.prove("spa", proofRequest{form: form, headers: []string{g.proof(other, nil)}}).want(t, 400, "invalid_grant")
	g.prove("spa", proofRequest{form: form}).want(t, 400, "invalid_grant")
	g.prove("spa", proofRequest{form: form, headers: []string{g.proof(mine, nil)}}).want(t, 200, "")
}

// DPOP-001 and DPOP-008, where the server itself is asked.
func TestUserinfoWantsTheProof(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	mine, other := generate(t, jose.ES256, ""), generate(t, jose.ES256, "")
	token := g.prove("spa", proofRequest{form: g.codeFor(g.spa(), ""), headers: []string{g.proof(mine, nil)}}).text("access_token")
	sum := sha256.Sum256([]byte(token))
	ath := base64.RawURLEncoding.EncodeToString(sum[:])
	ask := func(scheme string, key *jose.Key, change map[string]any) answer {
		t.Helper()
		r := httptest.NewRequest("GET", api.UserinfoPath, nil)
		r.Host = "auth.example"
		r.Header.Set("Authorization", scheme+" "+token)
		if key != nil {
			claims := map[string]any{"htm": "GET", "htu": issuer + api.UserinfoPath, "ath": ath}
			maps.Copy(claims, change)
			r.Header.Set("DPoP", g.proof(key, claims))
		}
		return g.do(r)
	}
	good := func() {
		t.Helper()
		a := ask("DPoP", mine, nil)
		a.want(t, 200, "")
		if a.text("sub") != ada().ID {
			t.Errorf("got %s", a.Body)
		}
	}
	good()
	for name, tt := range map[string]struct {
		a    answer
		code string
	}{
		"another key":             {ask("DPoP", other, nil), "invalid_token"},
		"no proof":                {ask("DPoP", nil, nil), "invalid_token"},
		"as a bearer token":       {ask("Bearer", nil, nil), "invalid_token"},
		"as bearer, with a proof": {ask("Bearer", mine, nil), "invalid_token"},
		"of another token":        {ask("DPoP", mine, map[string]any{"ath": strings.Repeat("A", 43)}), "invalid_dpop_proof"},
		"of no token":             {ask("DPoP", mine, map[string]any{"ath": nil}), "invalid_dpop_proof"},
		"for another endpoint":    {ask("DPoP", mine, map[string]any{"htu": issuer + "/oauth/token"}), "invalid_dpop_proof"},
		"clock":                   {ask("DPoP", mine, map[string]any{"iat": g.clock().Add(time.Minute).Unix()}), "use_dpop_nonce"},
	} {
		challenges := strings.Join(tt.a.Header().Values("WWW-Authenticate"), "\n")
		if tt.a.Code != 401 || tt.a.text("error") != tt.code || !strings.Contains(challenges, "DPoP realm") || !strings.Contains(challenges, `algs="ES256 `) ||
			!strings.Contains(challenges, `error="`+tt.code+`"`) {
			t.Errorf("%s: %d %s, challenge %s", name, tt.a.Code, tt.a.Body, challenges)
		}
	}
	good()
}

// A device proves its key when it begins: whoever reads its code can do nothing with it.
func TestDeviceCodesAreBoundToTheKey(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.withDevice("tv", client.DeviceCode)
	mine, other := generate(t, jose.ES256, ""), generate(t, jose.ES256, "")
	r := rawRequest("/oauth/device", "client_id=tv&scope=orders%3Aread&resource=https%3A%2F%2Forders.example")
	r.Header.Set("DPoP", g.proof(mine, map[string]any{"htu": issuer + "/oauth/device"}))
	a := g.do(r)
	a.want(t, 200, "")
	s, _, err := g.sessions.Start(t.Context(), session.Login{UserID: ada().ID, AMR: []string{"pwd"}})
	g.must(err)
	_, err = g.grants.ClaimDevice(t.Context(), grant.DeviceClaim{Code: a.text("user_code"), Session: s})
	g.must(err)
	g.must(g.grants.AllowDevice(t.Context(), a.text("user_code"), s))
	poll := proofRequest{form: "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=" + a.text("device_code")}
	poll.headers = []string{g.proof(other, nil)}
	g.prove("tv", poll).want(t, 400, "invalid_grant")
	g.forward(10 * time.Second)
	poll.headers = []string{g.proof(mine, nil)}
	g.prove("tv", poll).want(t, 200, "")
}
