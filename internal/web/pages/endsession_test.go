package pages_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/verify/bound"
)

// tokens are what a client gets for the session of this browser.
func (b *browser) tokens(clientID string) grant.Tokens {
	b.g.t.Helper()
	return b.g.tokensOf(b.cookie(middleware.CookieName), clientID)
}

func (g *rig) tokensOf(secret, clientID string) grant.Tokens {
	g.t.Helper()
	ctx := g.t.Context()
	s, _, found, err := g.sessions.Find(ctx, secret, bound.Seen{})
	g.must(err)
	if !found {
		g.t.Fatal("nobody is signed in")
	}
	c := g.known(clientID)
	r := oidc.Request{ClientID: clientID, RedirectURI: c.RedirectURIs[0], APIID: api.Userinfo, Scopes: []string{"openid"}, Challenge: challenge(verifier)}
	_, err = g.requestsOf.Consents.GiveConsent(ctx, consent.Consent{UserID: s.UserID, ClientID: clientID, APIID: r.APIID, Scopes: r.Scopes}, revoke.Effects{})
	g.must(err)
	code, err := g.grants.OpenCode(ctx, r, s, r.Scopes)
	g.must(err)
	tokens, err := g.grants.Exchange(ctx, c, grant.CodeAsk{Code: code, RedirectURI: r.RedirectURI, Verifier: verifier})
	g.must(err)
	return tokens
}

func (b *browser) idToken(clientID string) string { return b.tokens(clientID).IDToken }

// bye is a logout request: name, value, name, value.
func bye(params ...string) string {
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	return "/oauth/logout?" + q.Encode()
}

// sid is the session that an ID token names.
func sid(t *testing.T, token string) string {
	t.Helper()
	var claims struct {
		Session string `json:"sid"`
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.Session == "" {
		t.Fatalf("no sid in %s", token)
	}
	return claims.Session
}

// oidcc-rp-initiated-logout and its brothers that end well.
func TestApplicationSignsOutWithItsIDToken(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	for name, c := range map[string]struct {
		params []string
		to     string
		old    time.Duration
	}{
		"oidcc-rp-initiated-logout":                             {[]string{"post_logout_redirect_uri", rpBye, "state", "a b&c"}, rpBye + "?state=a+b%26c", 0},
		"oidcc-rp-initiated-logout-no-state":                    {[]string{"post_logout_redirect_uri", rpBye}, rpBye, 0},
		"oidcc-rp-initiated-logout-no-post-logout-redirect-uri": {nil, "/logout", 0},
		"state and no address":                                  {[]string{"state", "x"}, "/logout", 0},
		"an address with a query":                               {[]string{"post_logout_redirect_uri", rpBye + "?x=1", "state", "s"}, rpBye + "?x=1&state=s", 0},
		"an ID token that expired long ago":                     {[]string{"post_logout_redirect_uri", rpBye}, rpBye, 5 * time.Hour},
		"client_id beside":                                      {[]string{"post_logout_redirect_uri", rpBye, "client_id", "rp", "logout_hint", ada}, rpBye, 0},
	} {
		b.signIn(ada)
		tokens := b.tokens("rp")
		secret := b.cookie(middleware.CookieName)
		g.clock.forward(c.old)
		got := b.get(bye(append([]string{"id_token_hint", tokens.IDToken}, c.params...)...))
		if got.status != http.StatusSeeOther || got.header.Get("Location") != c.to || b.cookie(middleware.CookieName) != "" {
			t.Errorf("%s: %d to %q, want %q\n%s", name, got.status, got.header.Get("Location"), c.to, got.body)
		}
		if _, _, found, err := g.sessions.Find(t.Context(), secret, bound.Seen{}); err != nil || found {
			t.Errorf("%s: the session lives: %v", name, err)
		}
		if _, err := g.grants.Userinfo(t.Context(), grant.Shown{Token: tokens.AccessToken, Scheme: "Bearer"}); err == nil {
			t.Errorf("%s: the access token lives", name)
		}
	}
}

// REDIR-015, oidcc-rp-initiated-logout-bad-post-logout-redirect-uri,
// -query-added-to-post-logout-redirect-uri, -modified-id-token-hint, -bad-id-token-hint:
// nobody is sent anywhere, and nobody is signed out.
func TestLogoutNeverRedirectsToWhatIsNotRegistered(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	tokens, other := b.tokens("rp"), b.idToken("own")
	hint := tokens.IDToken
	parts := strings.Split(hint, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, params := range map[string][]string{
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri":            {"id_token_hint", hint, "post_logout_redirect_uri", "https://evil.example/"},
		"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": {"id_token_hint", hint, "post_logout_redirect_uri", rpBye + "?a=b"},
		"a fragment":                                       {"id_token_hint", hint, "post_logout_redirect_uri", rpBye + "#x"},
		"another path":                                     {"id_token_hint", hint, "post_logout_redirect_uri", rpBye + "/"},
		"a redirect URI":                                   {"id_token_hint", hint, "post_logout_redirect_uri", rpBack},
		"the ID token of another client":                   {"id_token_hint", other, "post_logout_redirect_uri", rpBye},
		"client_id of another client":                      {"id_token_hint", hint, "client_id", "front", "post_logout_redirect_uri", rpBye},
		"its own address, and another id":                  {"id_token_hint", hint, "client_id", "front", "post_logout_redirect_uri", "https://front.example/bye"},
		"oidcc-rp-initiated-logout-modified-id-token-hint": {"id_token_hint", parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), "post_logout_redirect_uri", rpBye},
		"oidcc-rp-initiated-logout-bad-id-token-hint":      {"id_token_hint", "nonsense", "post_logout_redirect_uri", rpBye},
		"alg none":                         {"id_token_hint", none + "." + parts[1] + ".", "post_logout_redirect_uri", rpBye},
		"an access token":                  {"id_token_hint", tokens.AccessToken, "post_logout_redirect_uri", rpBye},
		"two ID tokens":                    {"id_token_hint", hint, "id_token_hint", hint},
		"two addresses":                    {"id_token_hint", hint, "post_logout_redirect_uri", rpBye, "post_logout_redirect_uri", "https://evil.example/"},
		"an unknown client":                {"client_id", "nobody", "post_logout_redirect_uri", rpBye},
		"a client's id, and a strange URI": {"client_id", "rp", "post_logout_redirect_uri", "https://evil.example/"},
		"a disabled client":                {"client_id", "off", "post_logout_redirect_uri", "https://off.example/"},
	} {
		got := b.get(bye(params...))
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" || got.header.Get("Refresh") != "" || strings.Contains(got.body, "evil.example") || !b.signedIn() {
			t.Errorf("%s: %d to %q\n%s", name, got.status, got.header.Get("Location"), got.body)
		}
		q, err := url.ParseQuery(strings.TrimPrefix(bye(params...), "/oauth/logout?"))
		g.must(err)
		if got := b.post("/oauth/logout", q, "Origin", "https://rp.example"); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s as a form: %d to %q", name, got.status, got.header.Get("Location"))
		}
	}
	if got := b.get(bye("id_token_hint", hint, "post_logout_redirect_uri", rpBye)); got.header.Get("Location") != rpBye {
		t.Errorf("the honest one: %d", got.status)
	}
}

// ASVS 10.6.2, CONTROL-007, oidcc-rp-initiated-logout-no-id-token-hint, -no-params and
// -only-state: without proof the person is asked, and the session ends after the yes.
func TestLogoutWithoutProofAsksThePerson(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b, elsewhere := g.browser(), g.browser()
	elsewhere.signIn(ada)
	stranger := elsewhere.idToken("rp")
	for name, c := range map[string]struct {
		params []string
		to     string
	}{
		"oidcc-rp-initiated-logout-no-params":        {nil, "/logout"},
		"oidcc-rp-initiated-logout-only-state":       {[]string{"state", "s"}, "/logout"},
		"oidcc-rp-initiated-logout-no-id-token-hint": {[]string{"post_logout_redirect_uri", rpBye, "state", "s"}, "/logout"},
		"client_id and its address":                  {[]string{"client_id", "rp", "post_logout_redirect_uri", rpBye, "state", "s"}, rpBye + "?state=s"},
		"the ID token of another session":            {[]string{"id_token_hint", stranger, "post_logout_redirect_uri", rpBye}, rpBye},
	} {
		b.signIn(ada)
		ask := b.get(bye(c.params...))
		if ask.status != http.StatusOK || ask.header.Get("Location") != "" || !strings.Contains(ask.body, "Sign out?") || !b.signedIn() {
			t.Errorf("%s: %d to %q", name, ask.status, ask.header.Get("Location"))
		}
		fields := ask.form("/oauth/logout/agreed")
		action := "form-action 'self';"
		if fields.Has("post_logout_redirect_uri") {
			action = "form-action 'self' https://rp.example;"
		}
		if policy := ask.header.Get("Content-Security-Policy"); !strings.Contains(policy, action) || strings.Contains(ask.body, `class="host"`) != fields.Has("post_logout_redirect_uri") {
			t.Errorf("%s: policy %q, page %s", name, policy, ask.body)
		}
		forged := url.Values{"csrf": {strings.Repeat("A", 43)}}
		if got := b.post("/oauth/logout/agreed", forged); got.status != http.StatusForbidden || !b.signedIn() {
			t.Errorf("%s, forged: %d", name, got.status)
		}
		strange := url.Values{"csrf": fields["csrf"], "client_id": {"rp"}, "post_logout_redirect_uri": {"https://evil.example/"}}
		if got := b.post("/oauth/logout/agreed", strange); got.status != http.StatusBadRequest || !b.signedIn() {
			t.Errorf("%s, another address in the form: %d", name, got.status)
		}
		got := b.send(ask, "/oauth/logout/agreed")
		if got.status != http.StatusSeeOther || got.header.Get("Location") != c.to || b.cookie(middleware.CookieName) != "" {
			t.Errorf("%s: %d to %q, want %q", name, got.status, got.header.Get("Location"), c.to)
		}
	}
	if !elsewhere.signedIn() {
		t.Error("the session whose ID token was shown elsewhere has ended")
	}
}

func TestLogoutOfNobody(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	hint := b.idToken("rp")
	b.send(b.get("/logout"), "/logout")
	if got := b.get(bye("id_token_hint", hint, "post_logout_redirect_uri", rpBye, "state", "s")); got.header.Get("Location") != rpBye+"?state=s" {
		t.Errorf("with an ID token: %d to %q", got.status, got.header.Get("Location"))
	}
	if got := b.get(bye("client_id", "rp", "post_logout_redirect_uri", rpBye)); got.status != http.StatusOK || !strings.Contains(got.body, `href="`+rpBye+`"`) {
		t.Errorf("without one: %d %s", got.status, got.body)
	}
	if got := b.get(bye()); got.status != http.StatusOK || !strings.Contains(got.body, "You are signed out") {
		t.Errorf("without anything: %d", got.status)
	}
}

// A form of the application goes on as a GET, with our cookies.
func TestLogoutAsAFormGoesOnAsALink(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	hint := b.idToken("rp")
	got := b.post("/oauth/logout", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {rpBye}, "csrf": {"x"}, "ui_locales": {"de"}},
		"Origin", "https://rp.example", "Sec-Fetch-Site", "cross-site")
	if !b.signedIn() || got.status != http.StatusSeeOther || strings.Contains(got.header.Get("Location"), "csrf") {
		t.Fatalf("%d to %q", got.status, got.header.Get("Location"))
	}
	if got = b.get(got.header.Get("Location")); got.header.Get("Location") != rpBye || b.cookie(middleware.CookieName) != "" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
}

// oidcc-frontchannel-rp-initiated-logout: every application with a page of its own is
// told through the browser, and no other page may be framed.
func TestFrontChannelLogoutLoadsThePagesOfTheSession(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	b.idToken("rp")
	hint := b.idToken("front")
	b.idToken("front2")
	got := b.get(bye("id_token_hint", hint, "post_logout_redirect_uri", "https://front.example/bye", "state", "s"))
	want := "https://front.example/out?a=b&amp;" + strings.ReplaceAll(url.Values{"iss": {g.url}, "sid": {sid(t, hint)}}.Encode(), "&", "&amp;")
	for _, part := range []string{`<iframe hidden src="` + want + `">`, `<iframe hidden src="https://front2.example/out">`, `href="https://front.example/bye?state=s"`} {
		if !strings.Contains(got.body, part) {
			t.Errorf("the page lacks %s\n%s", part, got.body)
		}
	}
	policy := got.header.Get("Content-Security-Policy")
	if got.status != http.StatusOK || !strings.HasSuffix(policy, "; frame-src https://front.example https://front2.example") || got.header.Get("Refresh") != "3; url=https://front.example/bye?state=s" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if b.cookie(middleware.CookieName) != "" {
		t.Error("still signed in")
	}
	// From our own page too, and nobody who took no part.
	b.signIn(ada)
	b.idToken("front2")
	own := b.send(b.get("/logout"), "/logout")
	if own.status != http.StatusOK || strings.Contains(own.body, "front.example/") || !strings.Contains(own.body, "front2.example") || own.header.Get("Refresh") != "3; url=/logout" {
		t.Errorf("from our own page: %d %v\n%s", own.status, own.header, own.body)
	}
	// A client that is disabled meanwhile is not told.
	b.signIn(ada)
	b.idToken("front2")
	yes := true
	_, err := g.admin.EditClient(t.Context(), admin.ByCLI(), "front2", admin.ClientEdit{Disabled: &yes})
	g.must(err)
	if got := b.send(b.get("/logout"), "/logout"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/logout" {
		t.Errorf("disabled: %d", got.status)
	}
}
