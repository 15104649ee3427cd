package authorize_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// attack tries each value of a parameter, with the good neighbor before and after.
func attack(t *testing.T, name string, values []string, codes string, more ...string) {
	t.Helper()
	h := newHouse(t)
	h.fine(ask(more...))
	for _, v := range values {
		p := ask(more...)
		p[name] = []string{v}
		_, err := h.read(p)
		told(t, name+"="+v, err, codes)
	}
	h.fine(ask(more...))
}

func TestAUTHZ001OnlyCodesAreGiven(t *testing.T) {
	t.Parallel()
	attack(t, "response_type", []string{"token", "id_token token", "code token", "code id_token", "TOKEN", "Code", "code ", "none", "unknown", "code code"}, oidc.UnsupportedResponseType)
	attack(t, "response_type", []string{""}, oidc.InvalidRequest)
	h := newHouse(t)
	_, err := h.read(ask("response_type", "-"))
	told(t, "no response_type", err, oidc.InvalidRequest)
}

func TestAUTHZ002OtherResponseModesAndClientsWithoutTheGrant(t *testing.T) {
	t.Parallel()
	attack(t, "response_mode", []string{"fragment", "web_message", "form_post.jwt", "query.jwt", "jwt", "junk", "Query"}, oidc.InvalidRequest)
	h := newHouse(t)
	if r := h.fine(ask("response_mode", "form_post")); r.Mode != oidc.FormPost {
		t.Errorf("mode %q", r.Mode)
	}
	_, err := h.read(ask("client_id", "machine", "redirect_uri", "https://machine.test/cb"))
	told(t, "client without the grant type", err, oidc.UnauthorizedClient)
}

func TestAUTHZ003And004PKCEIsS256AndNothingElse(t *testing.T) {
	t.Parallel()
	attack(t, "code_challenge", []string{"", verifier, strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("A", 42) + "+", strings.Repeat("A", 42) + "="}, oidc.InvalidRequest)
	attack(t, "code_challenge_method", []string{"plain", "", "s256", "S512", "S256 "}, oidc.InvalidRequest)
	h := newHouse(t)
	for _, c := range []struct{ id, uri string }{{"rp1", back}, {"native", "https://native.test/cb"}, {"own", "https://own.test/cb"}} {
		_, err := h.read(ask("client_id", c.id, "redirect_uri", c.uri, "code_challenge", "-", "code_challenge_method", "-"))
		told(t, c.id+" without PKCE", err, oidc.InvalidRequest)
	}
	if r := h.fine(ask("client_id", "lax", "redirect_uri", "https://lax.test/cb", "code_challenge", "-", "code_challenge_method", "-")); r.Challenge != "" {
		t.Error("a challenge from nowhere")
	}
	_, err := h.read(ask("client_id", "lax", "redirect_uri", "https://lax.test/cb", "code_challenge_method", "plain"))
	told(t, "plain in the certification profile", err, oidc.InvalidRequest)
}

func TestAUTHZ008ScopesAreNeverWidened(t *testing.T) {
	t.Parallel()
	many := strings.TrimSuffix(strings.Repeat("s ", 101), " ")
	attack(t, "scope", []string{
		"orders:admin", "users:write", "openid users:write", "Orders:read", "orders:read ", "orders:read  orders:write", `orders:read"`, `orders\read`, "*", many,
		"orders:read\u00a0", "ledger:read",
	}, oidc.InvalidScope, "resource", orders, "scope", "orders:read")
	attack(t, "scope", []string{"orders:read\r\nx", "orders\x00read", strings.Repeat("scope:that:is:long ", 10_000)}, oidc.InvalidRequest)
	h := newHouse(t)
	if r := h.fine(ask("scope", "profile openid openid")); strings.Join(r.Scopes, " ") != "openid profile" || r.APIID != api.Userinfo {
		t.Errorf("scopes %v at %s", r.Scopes, r.APIID)
	}
}

func TestAUTHZ010NoRequestURIOfOthersIsFetched(t *testing.T) {
	t.Parallel()
	// There is nothing in the package that could fetch: an HTTP client is not in reach.
	attack(t, "request_uri", []string{"http://169.254.169.254/", "file:///etc/passwd", "https://rp1.test/redirect-to-internal", "http://127.0.0.1:1/x", "urn:example:x"},
		oidc.RequestURINotSupported)
	attack(t, "request_uri", []string{"urn:ietf:params:oauth:request_uri:made-up", "urn:ietf:params:oauth:request_uri:"}, oidc.InvalidRequestURI)
}

func TestAUTHZ017StateNonceAndIssuerComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	for _, state := range []string{`"><script>alert(1)</script>`, "a&b=c#d%0d%0a+ é 語 🪪", strings.Repeat("s", 4096), " leading and trailing "} {
		r := h.fine(ask("state", state, "nonce", state, "client_id", "own", "redirect_uri", "https://own.test/cb"))
		a := h.answered(r, w)
		if value(a, "state") != state || value(a, "iss") != issuer || value(a, "code") == "" {
			t.Errorf("state %q: %v", state, a.Fields)
		}
		if q := queryOf(t, a.URL()); q.Get("state") != state || q.Get("iss") != issuer {
			t.Errorf("state %q in %s", state, a.URL())
		}
		if got := h.nonce("own", value(a, "code")); got != state {
			t.Errorf("nonce %q came back as %q", state, got)
		}
		_, err := h.read(ask("state", state, "response_type", "token"))
		if got := answerOf(t, err); value(got, "state") != state || value(got, "iss") != issuer {
			t.Errorf("error with state %q: %v", state, got.Fields)
		}
	}
	for _, bad := range []string{"a\r\nb", "a\x00b", "\xff\xfe", strings.Repeat("s", 4097), "a\tb"} {
		for _, name := range []string{"state", "nonce"} {
			_, err := h.read(ask(name, bad))
			a := answerOf(t, err)
			if value(a, "error") != oidc.InvalidRequest || name == "state" && value(a, "state") != "" || value(a, "iss") != issuer {
				t.Errorf("%s %q: %v", name, bad, a.Fields)
			}
		}
	}
	if a := h.answered(h.fine(ask("state", "", "client_id", "own", "redirect_uri", "https://own.test/cb")), w); strings.Contains(a.URL(), "state") {
		t.Errorf("a state from nowhere: %s", a.URL())
	}
}

// Parameters that are there twice mean two things to two readers.
func TestRepeatedParametersAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.fine(ask())
	for name := range ask("prompt", "login", "max_age", "1", "request", "x", "request_uri", "y", "response_mode", "query", "dpop_jkt", challenge(), "claims", "{}") {
		p := ask()
		p[name] = []string{"first", "second"}
		if list := ask()[name]; len(list) > 0 {
			p[name] = []string{list[0], list[0]}
		}
		_, err := h.read(p)
		switch name {
		case "client_id", "redirect_uri":
			shown(t, name, err)
		case "state":
			if a := answerOf(t, err); value(a, "error") != oidc.InvalidRequest || value(a, "state") != "" {
				t.Errorf("state twice: %v", a.Fields)
			}
		default:
			told(t, name+" twice", err, oidc.InvalidRequest)
		}
	}
	p := ask("unknown", "x")
	p["unknown"] = []string{"ignored", "ignored"}
	h.fine(p)
}

func TestREDIR002And007NothingButTheRegisteredURI(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.fine(ask())
	for _, uri := range []string{
		"https://rp1.test.evil.test/cb", "https://rp1.test/cb.evil.test", "https://rp1.test/cbx", "https://rp1.test/cb/extra", "https://evil.test/https://rp1.test/cb",
		"http://rp1.test/cb", "https://rp1.test:8443/cb", "HTTPS://RP1.test/cb", "https://rp1.test/CB", "https://rp1.test/cb/", "https://rp1.test./cb",
		"https://rp1.test/cb?", "https://rp1.test/cb#", "https://rp1.test/cb?x=1", "https://user@rp1.test/cb", "//rp1.test/cb", "https:rp1.test/cb", `https://rp1.test\cb`,
		"https://rp1xtest/cb", "javascript:alert(1)", "https://rp2.test/cb", " https://rp1.test/cb", "https://rp1.test/cb\r\nLocation: x", "https://rp1.test/%63b",
	} {
		_, err := h.read(ask("redirect_uri", uri))
		shown(t, uri, err)
	}
	h.fine(ask())
}

func TestREDIR009OnlyThePortOfALoopbackAddressVaries(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	good := func() { h.fine(ask("client_id", "native", "redirect_uri", "http://127.0.0.1:49152/cb")) }
	good()
	for _, uri := range []string{
		"http://localhost:1234/cb", "http://127.0.0.1.evil.test/cb", "http://127.1/cb", "http://[::1%25eth0]/cb", "http://0x7f000001/cb", "http://127.0.0.1:80@evil.test/cb",
		"http://127.0.0.1:49152/other", "http://[::1]/cb", "https://127.0.0.1:49152/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:99999/cb", "https://native.test:444/cb",
	} {
		_, err := h.read(ask("client_id", "native", "redirect_uri", uri))
		shown(t, uri, err)
	}
	good()
}

func TestREDIR017NothingIsLearnedFromTraffic(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 2 {
		for _, uri := range []string{"https://evil.test/cb", "-"} {
			_, err := h.read(ask("client_id", "empty", "redirect_uri", uri))
			shown(t, uri, err)
		}
	}
	if c := h.client("empty"); len(c.RedirectURIs) != 0 {
		t.Errorf("learned %v", c.RedirectURIs)
	}
}

func TestUnknownAndDisabledClientsSendNobodyAnywhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, id := range []string{"", "-", "nobody", "gone", "RP1", "rp1 "} {
		_, err := h.read(ask("client_id", id, "redirect_uri", "https://gone.test/cb"))
		shown(t, "client "+id, err)
	}
	for _, id := range []string{"nobody", "gone"} {
		_, err := h.read(ask("client_id", id, "response_type", "token"))
		shown(t, "client "+id, err)
	}
}

func TestRedirectURIMayBeLeftOutWhereItIsPlain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.fine(ask("redirect_uri", "-", "scope", "orders:read"))
	if r.RedirectURI != back || r.RedirectSent {
		t.Errorf("redirect %q, sent %v", r.RedirectURI, r.RedirectSent)
	}
	_, err := h.read(ask("redirect_uri", "-"))
	shown(t, "openid without redirect_uri", err)
	_, err = h.read(ask("client_id", "rp2", "redirect_uri", "-", "scope", "ledger:read"))
	shown(t, "two registered and none sent", err)
}

func TestTheAPIIsTheOneThatIsMeant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rp2 := []string{"client_id", "rp2", "redirect_uri", "https://rp2.test/cb"}
	for _, c := range []struct {
		name, want, code string
		more             []string
	}{
		{"identity alone", api.Userinfo, "", []string{"scope", "openid email"}},
		{"the only one with the scope", ledger, "", append([]string{"scope", "openid ledger:read"}, rp2...)},
		{"named", orders, "", append([]string{"scope", "openid orders:read", "resource", orders}, rp2...)},
		{"identity at a named API", orders, "", append([]string{"scope", "openid", "resource", orders}, rp2...)},
		{"userinfo by its audience", api.Userinfo, "", append([]string{"scope", "openid", "resource", issuer + api.UserinfoPath}, rp2...)},
		{"no scope, one API", orders, "", []string{"scope", "-"}},
		{"two have the scope", "", oidc.InvalidTarget, append([]string{"scope", "orders:read"}, rp2...)},
		{"no scope, two APIs", "", oidc.InvalidTarget, append([]string{"scope", "-"}, rp2...)},
		{"scopes of two APIs", "", oidc.InvalidScope, append([]string{"scope", "orders:write ledger:read"}, rp2...)},
		{"unknown API", "", oidc.InvalidTarget, []string{"resource", "https://nobody.example"}},
		{"API of others", "", oidc.InvalidTarget, []string{"resource", ledger}},
		{"the management API", "", oidc.InvalidTarget, []string{"resource", issuer + api.ManagementPath, "scope", "users:write"}},
		{"the name of a built-in API", "", oidc.InvalidTarget, []string{"resource", "management"}},
		{"with fragment", "", oidc.InvalidTarget, []string{"resource", orders + "#x"}},
		{"relative", "", oidc.InvalidTarget, []string{"resource", "/orders"}},
	} {
		r, err := h.read(ask(c.more...))
		if c.code != "" {
			told(t, c.name, err, c.code)
		} else if err != nil || r.APIID != c.want {
			t.Errorf("%s: %q %v, want %q", c.name, r.APIID, err, c.want)
		}
	}
	p := ask("scope", "orders:read")
	p["resource"] = []string{orders, ledger}
	_, err := h.read(p)
	told(t, "two resources", err, oidc.InvalidTarget)
}

func TestOddValuesOfOtherParametersAreRefused(t *testing.T) {
	t.Parallel()
	attack(t, "prompt", []string{"none login", "create", "Login", "login,consent"}, oidc.InvalidRequest)
	attack(t, "max_age", []string{"-1", "x", "1.5", "1e3", "99999999999999999999"}, oidc.InvalidRequest)
	attack(t, "claims", []string{"x", "[]", `{"id_token":1}`, `{"id_token":{"sub":{"value":1}}}`}, oidc.InvalidRequest)
	attack(t, "dpop_jkt", []string{"x", strings.Repeat("A", 42) + "="}, oidc.InvalidRequest)
	attack(t, "id_token_hint", []string{"x", "a.b.c"}, oidc.InvalidRequest)
	h := newHouse(t)
	r := h.fine(ask("prompt", "consent login", "max_age", "0", "acr_values", "aal1 aal2", "ui_locales", "de en", "login_hint", "ada", "display", "popup", "dpop_jkt", challenge(),
		"claims", `{"userinfo":{"email":null,"unknown":{"essential":true}},"id_token":{"acr":{"essential":true,"values":["aal1"]}}}`))
	if !r.Asks("login") || *r.MaxAge != 0 || len(r.ACR) != 2 || len(r.Locales) != 2 || r.LoginHint != "ada" || r.JKT != challenge() || r.Claims.Userinfo[0] != "email" || r.Claims.ACR[0] != "aal1" {
		t.Errorf("read %+v", r)
	}
}

func TestAnswersKeepTheQueryOfTheRedirectURI(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.read(ask("client_id", "rp2", "redirect_uri", "https://rp2.test/other?x=1", "response_type", "token"))
	if got := answerOf(t, err).URL(); !strings.HasPrefix(got, "https://rp2.test/other?x=1&error=unsupported_response_type&") {
		t.Errorf("answer at %s", got)
	}
	_, err = h.read(ask("client_id", "native", "redirect_uri", "com.example.app:/cb", "response_type", "token", "response_mode", "form_post"))
	if got := answerOf(t, err); got.Mode != oidc.FormPost || !strings.HasPrefix(got.URL(), "com.example.app:/cb?error=") {
		t.Errorf("answer %+v", got)
	}
}

func TestClientMetadataFillsWhatIsNotSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	age := 600
	h.change("rp1", func(c *client.Client) { c.OAuth.DefaultMaxAge, c.OAuth.DefaultACR = &age, []string{"aal1"} })
	if r := h.fine(ask()); r.MaxAge == nil || *r.MaxAge != 600 || len(r.ACR) != 1 {
		t.Errorf("read %+v", r)
	}
	if r := h.fine(ask("max_age", "5", "acr_values", "x y")); *r.MaxAge != 5 || len(r.ACR) != 2 {
		t.Errorf("read %+v", r)
	}
}
