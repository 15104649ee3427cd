package oauth_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// asks introspects as caller and wants a signed answer.
func (g rig) asksSigned(caller string, form ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	r := formRequest("/oauth/introspect", form...)
	r.Header.Set("Accept", "application/token-introspection+jwt")
	r.SetBasicAuth(url.QueryEscape(caller), url.QueryEscape(secret))
	return g.raw(r)
}

func (g rig) openAnswer(w *httptest.ResponseRecorder) (typ, body string) {
	g.t.Helper()
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/token-introspection+jwt" || w.Header().Get("Cache-Control") != "no-store" {
		g.t.Fatalf("answer is %d %v %s", w.Code, w.Header(), w.Body)
	}
	m, err := jose.Parse(w.Body.String(), jose.Limits{})
	g.must(err)
	key, _, ok := g.ring.Verifier(m.Header.KeyID)
	if !ok {
		g.t.Fatalf("no key %s", m.Header.KeyID)
	}
	payload, err := m.Verify(key)
	g.must(err)
	return m.Header.Type, string(payload)
}

// INTRO-002, RFC 9701: the signed form tells nothing more than the plain one, and is
// no access token.
func TestSignedIntrospection(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, tokens := g.signIn("shop-web")
	signed := g.asksSigned("orders-api", "token", tokens.AccessToken)
	typ, body := g.openAnswer(signed)
	if typ != "token-introspection+jwt" || !strings.Contains(body, `"aud":"orders-api"`) || !strings.Contains(body, `"active":true`) ||
		!strings.Contains(body, `"sub":"`+ada().ID+`"`) {
		t.Errorf("answer is %s %s", typ, body)
	}
	_, body = g.openAnswer(g.asksSigned("bystander", "token", tokens.AccessToken))
	if !strings.Contains(body, `"token_introspection":{"active":false}`) || strings.Contains(body, ada().ID) {
		t.Errorf("a bystander is told %s", body)
	}
	if a := g.post("/oauth/introspect", "orders-api", "token", signed.Body.String()); a.body["active"] != false {
		t.Errorf("a signed answer is taken for a token: %s", a.Body)
	}
}
