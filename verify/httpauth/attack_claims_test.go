package httpauth_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// JWT-041 to JWT-048: time, by the verifier's clock and leeway.
func TestExpiryFollowsTheClock(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	start := g.clock.t
	token := g.sign(g.header(), g.claims()) // expires after 300 s
	for _, step := range []struct {
		name  string
		after time.Duration
		good  bool
	}{
		{"at once", 0, true},
		{"just before the end", 309*time.Second + 999*time.Millisecond, true},
		{"at the end, leeway included", 310 * time.Second, false},
		{"long after", time.Hour, false},
		{"clock put back", 0, true},
		{"issued within the leeway ahead", -10 * time.Second, true},
		{"issued in the future", -11 * time.Second, false},
	} {
		g.clock.set(start.Add(step.after))
		if step.good {
			g.accepts(t, token)
			continue
		}
		g.refuses(t, token)
		if step.after > 0 {
			g.reason(t, "token_expired")
		} else {
			g.reason(t, "token_not_yet")
		}
	}
}

func TestAttackTimeClaims(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	now := g.clock.t.Unix()
	g.attack(t, map[string]string{
		"exp absent":       g.sign(g.header(), g.claims().without("exp")),
		"iat absent":       g.sign(g.header(), g.claims().without("iat")),
		"expired":          g.sign(g.header(), g.claims().with("exp", now-11)),
		"expired just now": g.sign(g.header(), g.claims().with("exp", now-10)),
		"nbf ahead":        g.sign(g.header(), g.claims().with("nbf", now+11)),
		"iat ahead":        g.sign(g.header(), g.claims().with("iat", now+11)),
		"nbf string":       g.sign(g.header(), g.claims().with("nbf", "0")),
		"nbf null":         g.sign(g.header(), g.claims().with("nbf", nil)),
		"iat null":         g.sign(g.header(), g.claims().with("iat", nil)),
		"lives too long":   g.sign(g.header(), g.claims().with("exp", now+86401)),
		"auth_time string": g.sign(g.header(), g.claims().with("auth_time", "yesterday")),
	})
	g.accepts(t, g.sign(g.header(), g.claims().with("exp", now+86400)))
}

// JWT-046
func TestAttackExpiryNumericEdge(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	variants := map[string]string{}
	for _, exp := range []string{
		"1e400", "NaN", "Infinity", "-1", "0", "-0", "9007199254740993", "9223372036854775808", "18446744073709551615", "1e308", "1e18", "1e11",
		"-1e400", "0x7fffffff", "+1900000000", "01900000000", "1900000000.", ".5", "1e", "null", "true", `"1900000000"`, "[1900000000]", "{}",
	} {
		claims := strings.Replace(text(t, g.claims().with("exp", json.Number("4242424242"))), "4242424242", exp, 1)
		variants[exp] = g.sign(g.header(), claims)
	}
	g.attack(t, variants)
	// A fraction is allowed, and counts: the end is exclusive to the nanosecond.
	half := g.sign(g.header(), g.claims().with("exp", json.Number("1900000000.5")).with("iat", 1899999990))
	g.clock.set(time.Unix(1900000010, 0))
	g.accepts(t, half)
	g.clock.set(time.Unix(1900000010, 5e8))
	g.refuses(t, half)
}

// JWT-049
func TestAttackIssuerConfusion(t *testing.T) {
	t.Parallel()
	g, other := newRig(t, jose.EdDSA), newRig(t, jose.EdDSA)
	iss := g.issuer.URL()
	iss2 := strings.Replace(iss, "127.0.0.1", "127.0.0.1.evil.test", 1)
	variants := map[string]string{"absent": g.sign(g.header(), g.claims().without("iss"))}
	for name, value := range map[string]any{
		"other host": "https://evil.test", "trailing slash": iss + "/", "prefix": iss + ".evil.test", "host in host": iss2, "upper case": strings.ToUpper(iss),
		"array": []string{iss, "https://evil.test"}, "array of one": []string{iss}, "percent": strings.Replace(iss, "://", "%3A%2F%2F", 1),
		"userinfo": strings.Replace(iss, "://", "://x@", 1), "empty": "", "null": nil, "number": 1, "object": object{"iss": iss},
		"other tenant": other.issuer.URL(), "space": iss + " ", "shorter": iss[:len(iss)-1], "NUL": iss + "\x00",
	} {
		variants[name] = g.sign(g.header(), g.claims().with("iss", value))
	}
	g.attack(t, variants)
}

// JWT-050
func TestAttackAudienceConfusion(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	const api = verifytest.API
	variants := map[string]string{"absent": g.sign(g.header(), g.claims().without("aud"))}
	for name, value := range map[string]any{
		"other API": "https://other.test", "empty array": []string{}, "array of another": []string{"other"}, "number in array": []int{1},
		"right one and a number": []any{api, 1}, "nested array": [][]string{{api}}, "object": object{"x": 1}, "object of it": object{api: true},
		"longer": api + "-evil", "shorter": api[:len(api)-1], "path": api + "/", "upper case": strings.ToUpper(api), "client": "shop",
		"empty": "", "null": nil, "null in array": []any{nil}, "space joined": "https://other.test " + api, "comma joined": "https://other.test," + api,
		"wildcard": "*", "number": 1,
	} {
		variants[name] = g.sign(g.header(), g.claims().with("aud", value))
	}
	g.attack(t, variants)
}

// JWT-051, and RFC 9068 section 2.2 for its neighbours.
func TestAttackRequiredClaimMissing(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	variants := map[string]string{}
	for _, name := range []string{"sub", "client_id", "jti"} {
		variants[name+" absent"] = g.sign(g.header(), g.claims().without(name))
		for _, value := range []any{"", 0, nil, []string{"x"}, object{}, true} {
			variants[name+" "+text(t, object{"is": value})] = g.sign(g.header(), g.claims().with(name, value))
		}
	}
	for name, value := range map[string]any{"sid": 1, "acr": 1, "amr": "pwd", "grant_id": nil, "rsn": -1} {
		variants[name+" of the wrong type"] = g.sign(g.header(), g.claims().with(name, value))
	}
	variants["rsn with fraction"] = g.sign(g.header(), g.claims().with("rsn", 1.5))
	variants["rsn overflows"] = g.sign(g.header(), g.claims().with("rsn", json.Number("9223372036854775808")))
	variants["amr of numbers"] = g.sign(g.header(), g.claims().with("amr", []int{1}))
	g.attack(t, variants)
}

// JWT-055, JWT-056: a bound token is not a bearer token.
func TestAttackBoundTokenAsBearer(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	g.attack(t, map[string]string{
		"jkt":      g.sign(g.header(), g.claims().with("cnf", object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})),
		"x5t#S256": g.sign(g.header(), g.claims().with("cnf", object{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})),
		"empty":    g.sign(g.header(), g.claims().with("cnf", object{})),
		"null":     g.sign(g.header(), g.claims().with("cnf", nil)),
		"string":   g.sign(g.header(), g.claims().with("cnf", "x")),
	})
	bound := g.sign(g.header(), g.claims().with("cnf", object{"jkt": "x"}))
	g.refusesRequest(t, http.Header{"Authorization": {"DPoP " + bound}}, want{http.StatusUnauthorized, invalidToken, "invalid_token"})
	g.reason(t, "binding_unsupported")
}

// JWT-057
func TestAttackScopeShapes(t *testing.T) {
	t.Parallel()
	g := newRig(t, jose.EdDSA)
	lacking := want{http.StatusForbidden, `Bearer realm="wafer", error="insufficient_scope", scope="orders:read"`, "insufficient_scope"}
	g.acceptsGood(t)
	for _, scope := range []string{
		"", "orders:readonly", "orders:read/*", "ORDERS:READ", "orders:write,orders:read", "orders", "orders:*", "*", "orders:rea", "xorders:read", "orders:read,",
	} {
		t.Run("lacks "+scope, func(t *testing.T) {
			g.acceptsGood(t)
			g.refusesAs(t, g.sign(g.header(), g.claims().with("scope", scope)), lacking)
			g.reason(t, "scope_insufficient")
			g.acceptsGood(t)
		})
	}
	g.refusesAs(t, g.sign(g.header(), g.claims().without("scope")), lacking)
	variants := map[string]string{}
	for name, value := range map[string]any{
		"array": []string{"orders:read"}, "object": object{"orders:read": true}, "number": 1, "null": nil, "true": true,
		"NBSP": "orders:write\u00a0orders:read", "tab": "a\torders:read", "newline": "a\norders:read", "two spaces": "a  orders:read",
		"leading space": " orders:read", "quote": `a"b orders:read`, "backslash": `a\b orders:read`, "zero width": "orders:read\u200b",
	} {
		variants[name] = g.sign(g.header(), g.claims().with("scope", value))
	}
	g.attack(t, variants)
}

func TestRequireWantsEveryScope(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	c := issuer.Config()
	c.Stale, c.Server = verify.Open, nil
	g := newHandler(t, c, "orders:read", "orders:write")
	all := "Bearer realm=\"wafer\", error=\"insufficient_scope\", scope=\"orders:read orders:write\""
	for _, tt := range []struct {
		name   string
		scopes []string
		status int
	}{
		{"both", []string{"orders:write", "x", "orders:read"}, http.StatusOK},
		{"first", []string{"orders:read"}, http.StatusForbidden},
		{"second", []string{"orders:write"}, http.StatusForbidden},
		{"none", nil, http.StatusForbidden},
	} {
		w := g.get(t, issuer.Token(verifytest.Scope(tt.scopes...)))
		if w.Code != tt.status {
			t.Errorf("%s: got status %d, want %d", tt.name, w.Code, tt.status)
		}
		if got := w.Header().Get("WWW-Authenticate"); tt.status == http.StatusForbidden && got != all {
			t.Errorf("%s: got WWW-Authenticate %q, want %q", tt.name, got, all)
		}
	}
}
