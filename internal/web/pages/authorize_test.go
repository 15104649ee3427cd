package pages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// exchange turns a code into tokens, as rp.
func (g *rig) exchange(code string) (grant.Tokens, error) {
	g.t.Helper()
	c, err := g.grants.Authenticate(g.t.Context(), grant.Credentials{ID: "rp", Secret: rpSecret})
	g.must(err)
	return g.grants.Exchange(g.t.Context(), c, grant.CodeAsk{Code: code, RedirectURI: rpBack, Verifier: verifier})
}

func TestSignInConsentAndCodeInOneGo(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	scopes := "openid profile orders:read orders:write"
	login := b.follow(b.get(link("scope", scopes, "login_hint", ada)))
	for _, want := range []string{"Rita&#39;s &lt;Planner&gt;", "rp.example", `value="` + ada + `"`} {
		if !strings.Contains(login.body, want) {
			t.Fatalf("the login page lacks %q: %s", want, login.body)
		}
	}
	consent := b.follow(b.send(login, "/login", "login", ada, "password", good))
	for _, want := range []string{"Allow access?", "Rita&#39;s &lt;Planner&gt;", "rp.example", "See your name", "orders:read", "Orders"} {
		if !strings.Contains(consent.body, want) {
			t.Fatalf("the consent page lacks %q: %s", want, consent.body)
		}
	}
	if strings.Contains(consent.body, "orders:write") {
		t.Error("consent is asked for more than would be given")
	}
	if policy := consent.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://rp.example;") {
		t.Errorf("policy %q", policy)
	}
	q := b.send(consent, "/oauth/consent", "decision", "allow").back(t, rpBack)
	if q.Get("state") != "s t&a=te" || q.Get("iss") != g.url || q.Get("code") == "" {
		t.Fatalf("answer %v", q)
	}
	tokens, err := g.exchange(q.Get("code"))
	g.must(err)
	if tokens.IDToken == "" || tokens.RefreshToken == "" || tokens.Scope != "openid profile orders:read" {
		t.Errorf("tokens %+v", tokens)
	}
	// What was allowed once is not asked again.
	if again := b.get(link("scope", scopes)).back(t, rpBack); again.Get("code") == "" {
		t.Errorf("the second time: %v", again)
	}
}

func TestSayingNoTellsTheClientAndKeepsNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	q := b.send(b.get(link()), "/oauth/consent", "decision", "deny").back(t, rpBack)
	if q.Get("error") != "access_denied" || q.Get("code") != "" || q.Get("state") != "s t&a=te" || q.Get("iss") != g.url {
		t.Errorf("answer %v", q)
	}
	if p := b.get(link()); !strings.Contains(p.body, "Allow access?") {
		t.Errorf("not asked again: %d %s", p.status, p.body)
	}
	if got := b.send(b.get(link()), "/oauth/consent"); got.status != http.StatusBadRequest {
		t.Errorf("neither yes nor no: %d", got.status)
	}
}

// REDIR-002, REDIR-007: a stranger's address is never followed, and stands nowhere as
// a link.
func TestREDIR002NobodyIsLedToAStranger(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	good := func() {
		if p := b.get(link()); p.status != http.StatusOK {
			t.Errorf("neighbor: %d", p.status)
		}
	}
	good()
	for _, uri := range []string{
		"https://rp.example.evil.test/cb", "https://rp.example/cb/", "http://rp.example/cb", "javascript:alert(1)", `https://evil.test/"><script>alert(1)</script>`,
	} {
		for _, mode := range []string{"query", "form_post"} {
			p := b.get(link("redirect_uri", uri, "response_mode", mode))
			if p.status != http.StatusBadRequest || p.header.Get("Location") != "" || strings.Contains(p.body, "evil") || strings.Contains(p.body, "<form") || strings.Contains(p.body, "alert") {
				t.Errorf("%s by %s: %d to %q %s", uri, mode, p.status, p.header.Get("Location"), p.body)
			}
		}
	}
	good()
}

// AUTHZ-016: a link from the middle of somebody's flow is worth nothing in another
// browser.
func TestAUTHZ016FlowsStayInTheirBrowser(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	attacker, victim := g.browser(), g.browser()
	middle := attacker.get(link()).header.Get("Location")
	if !strings.HasPrefix(middle, "/login?flow=") {
		t.Fatalf("led to %q", middle)
	}
	victim.signIn(ada)
	going := strings.Replace(middle, "/login?", "/oauth/authorize/continue?", 1)
	for _, path := range []string{middle, going} {
		if p := victim.get(path); p.status != http.StatusBadRequest || p.header.Get("Location") != "" {
			t.Errorf("%s in another browser: %d to %q", path, p.status, p.header.Get("Location"))
		}
	}
	fresh := g.browser()
	if p := fresh.get(middle); p.status != http.StatusBadRequest {
		t.Errorf("in a browser without cookies: %d", p.status)
	}
	// The attacker's own consent form, posted by the victim's browser.
	attacker.signIn(eve)
	form := attacker.get(link()).form("/oauth/consent")
	mine := victim.get(link()).form("/oauth/consent")
	form.Set("decision", "allow")
	form.Set("csrf", mine.Get("csrf"))
	if p := victim.post("/oauth/consent", form); p.status != http.StatusBadRequest {
		t.Errorf("another's step: %d to %q", p.status, p.header.Get("Location"))
	}
	mine.Set("decision", "allow")
	victim.post("/oauth/consent", mine).back(t, rpBack)
	if p := attacker.get(middle); p.status != http.StatusSeeOther {
		t.Errorf("in its own browser: %d", p.status)
	}
}

// AUTHZ-013: prompt=login and max_age cannot be edited away on the way.
func TestAUTHZ013CredentialsAreAskedAgain(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	b.send(b.get(link()), "/oauth/consent", "decision", "allow").back(t, rpBack)
	g.clock.forward(time.Hour)
	before := b.cookie(middleware.CookieName)
	sid := g.sidOf(ada)
	for _, more := range [][]string{{"prompt", "login"}, {"max_age", "1"}, {"max_age", "0"}, {"prompt", "select_account"}} {
		g.clock.forward(time.Minute)
		to := b.get(link(more...)).header.Get("Location")
		login := b.get(to)
		if login.status != http.StatusOK || !strings.Contains(login.body, `type="password"`) {
			t.Fatalf("%v: no password is asked: %d to %q", more, login.status, login.header.Get("Location"))
		}
		// To go on without signing in leads back to the form.
		going := strings.Replace(to, "/login?", "/oauth/authorize/continue?", 1)
		for _, path := range []string{going, going + "&prompt=none", going + "&max_age=100000"} {
			if p := b.get(path); !strings.HasPrefix(p.header.Get("Location"), "/login?flow=") {
				t.Errorf("%v: %d to %q without a sign-in", more, p.status, p.header.Get("Location"))
			}
		}
		g.clock.forward(30 * time.Second)
		wrong := b.send(login, "/login", "login", ada, "password", "wrong")
		if wrong.status != http.StatusUnauthorized {
			t.Errorf("%v: wrong password: %d", more, wrong.status)
		}
		q := b.follow(b.send(wrong, "/login", "login", ada, "password", good)).back(t, rpBack)
		tokens, err := g.exchange(q.Get("code"))
		g.must(err)
		if got := authTime(t, tokens.IDToken); got != g.clock.Now().Unix() {
			t.Errorf("%v: auth_time %d, want %d", more, got, g.clock.Now().Unix())
		}
	}
	if g.sidOf(ada) != sid || b.cookie(middleware.CookieName) == before {
		t.Error("the same person must keep the session, and get another secret for it")
	}
}

func TestAnotherPersonWhoSignsInReplacesTheSession(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	old := b.cookie(middleware.CookieName)
	g.clock.forward(time.Second)
	login := b.follow(b.get(link("prompt", "login")))
	consent := b.follow(b.send(login, "/login", "login", eve, "password", good))
	if !strings.Contains(consent.body, eve) || strings.Contains(consent.body, ada) {
		t.Errorf("consent of the wrong person: %s", consent.body)
	}
	if _, _, found, err := g.sessions.Find(t.Context(), old, seen); err != nil || found {
		t.Errorf("ada's session goes on: %v %v", found, err)
	}
}

// REDIR-016: no browser replays a password to the client.
func TestREDIR016AnswersAre303WithoutReferer(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	sent := b.send(b.follow(b.get(link())), "/login", "login", ada, "password", good)
	if sent.status != http.StatusSeeOther {
		t.Errorf("after the password: %d", sent.status)
	}
	got := b.send(b.follow(sent), "/oauth/consent", "decision", "allow")
	again := b.get(link())
	for _, p := range []page{got, again, b.get(link("response_type", "token"))} {
		p.back(t, rpBack)
		if p.header.Get("Referrer-Policy") != "no-referrer" || p.header.Get("Cache-Control") != "no-store" || p.body != "" {
			t.Errorf("answer %v %q", p.header, p.body)
		}
	}
	if p := b.get(link("response_mode", "form_post")); p.header.Get("Referrer-Policy") != "no-referrer" || p.header.Get("Cache-Control") != "no-store" {
		t.Errorf("form_post %v", p.header)
	}
}

// AUTHZ-020: none of these pages can be put into a frame.
func TestAUTHZ020PagesCannotBeFramed(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	login := b.follow(b.get(link()))
	consent := b.follow(b.send(login, "/login", "login", ada, "password", good))
	b.send(consent, "/oauth/consent", "decision", "allow")
	for name, p := range map[string]page{
		"login": login, "consent": consent, "error": b.get("/oauth/authorize"), "form_post": b.get(link("response_mode", "form_post")), "account": b.get("/account"),
	} {
		if !strings.Contains(p.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || p.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", name, p.header)
		}
	}
}

// AUTHZ-022: what runs on the person's own device is asked for each time.
func TestAUTHZ022NativeApplicationsAreAskedForEachTime(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	for range 2 {
		p := b.get(link("client_id", "native", "redirect_uri", nativeBack))
		if !strings.Contains(p.body, "any program there could ask") || !strings.Contains(p.body, "com.example.planner:") {
			t.Fatalf("no warning: %d %s", p.status, p.body)
		}
		q := b.send(p, "/oauth/consent", "decision", "allow").back(t, nativeBack)
		if q.Get("code") == "" {
			t.Errorf("answer %v", q)
		}
	}
	if q := b.get(link("client_id", "own", "redirect_uri", ownBack)).back(t, ownBack); q.Get("code") == "" {
		t.Errorf("our own application: %v", q)
	}
}

// OpenID Connect Core section 3.1.2.1: the request may come as a form, from the page
// of the application. Browsers leave our cookies out of it.
func TestRequestsMayBePostedFromOtherSites(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	b.send(b.get(link()), "/oauth/consent", "decision", "allow").back(t, rpBack)
	u, err := url.Parse(link())
	g.must(err)
	form := u.Query()
	for _, headers := range [][]string{
		{"Origin", "https://rp.example", "Sec-Fetch-Site", "cross-site"}, {"Origin", "null"}, {"Origin", g.url},
	} {
		foreign := g.browser() // without the cookies
		p := foreign.post("/oauth/authorize", form, headers...)
		to := p.header.Get("Location")
		if p.status != http.StatusSeeOther || !strings.HasPrefix(to, "/oauth/authorize/continue?posted=") || p.header.Get("Set-Cookie") != "" {
			t.Fatalf("%v: %d to %q, cookies %q", headers, p.status, to, p.header.Get("Set-Cookie"))
		}
		if q := b.get(to).back(t, rpBack); q.Get("code") == "" || q.Get("state") != "s t&a=te" {
			t.Errorf("%v: %v", headers, q)
		}
	}
	form.Set("redirect_uri", "https://evil.test/")
	if p := b.post("/oauth/authorize", form, "Sec-Fetch-Site", "cross-site"); p.status != http.StatusBadRequest || p.header.Get("Location") != "" {
		t.Errorf("evil: %d", p.status)
	}
	if p := b.post("/oauth/authorize", nil, "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"); p.status != http.StatusUnsupportedMediaType && p.status != http.StatusBadRequest {
		t.Errorf("nothing: %d", p.status)
	}
}

func TestFormPostAnswersSendThemselves(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	b.send(b.get(link()), "/oauth/consent", "decision", "allow").back(t, rpBack)
	state := `"><script>alert(1)</script>&amp;é`
	p := b.get(link("response_mode", "form_post", "state", state))
	fields := p.form(rpBack)
	if p.status != http.StatusOK || fields.Get("code") == "" || fields.Get("iss") != g.url || strings.Contains(p.body, "<script>alert") {
		t.Fatalf("form_post: %d %v %s", p.status, fields, p.body)
	}
	if !strings.Contains(p.body, `name="state" value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;é"`) {
		t.Errorf("state: %s", p.body)
	}
	if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://rp.example;") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	bad := b.get(link("response_mode", "form_post", "prompt", "login none"))
	if fields := bad.form(rpBack); fields.Get("error") != "invalid_request" || fields.Get("code") != "" {
		t.Errorf("a refusal: %v", fields)
	}
	native := b.send(b.get(link("client_id", "native", "redirect_uri", nativeBack, "response_mode", "form_post")), "/oauth/consent", "decision", "allow")
	if fields := native.form(nativeBack); fields.Get("code") == "" {
		t.Errorf("a scheme of its own: %s", native.body)
	}
}

func TestConsentFormsNeedTheirCode(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	form := b.get(link()).form("/oauth/consent")
	form.Set("decision", "allow")
	for name, code := range map[string]string{"none": "", "of another form": b.get("/account").form("/account/end").Get("csrf")} {
		bad := url.Values{"csrf": {code}, "step": form["step"], "decision": form["decision"]}
		if p := b.post("/oauth/consent", bad); p.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if p := b.post("/oauth/consent", form, "Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"); p.status != http.StatusForbidden {
		t.Errorf("from another site: %d", p.status)
	}
	b.post("/oauth/consent", form).back(t, rpBack)
}

// The parameters of a request stand in no log.
func TestRequestsLeaveNothingInLogs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	consent := b.follow(b.send(b.follow(b.get(link("state", "secret-state", "login_hint", "secret-hint"))), "/login", "login", ada, "password", good))
	q := b.send(consent, "/oauth/consent", "decision", "allow").back(t, rpBack)
	for _, secret := range []string{"secret-state", "secret-hint", q.Get("code"), good, "flow="} {
		if strings.Contains(g.logged.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func (g *rig) sidOf(login string) string {
	g.t.Helper()
	all, err := g.sessions.List(g.t.Context(), g.users[login].ID)
	g.must(err)
	if len(all) != 1 {
		g.t.Fatalf("%d sessions", len(all))
	}
	return all[0].ID
}

func TestLoginFlowsAreOnlyThemselves(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.get("/login")
	for _, path := range []string{"/login?flow=x", "/login?flow=x&flow=y", "/oauth/authorize/continue", "/oauth/authorize/continue?flow=x", "/oauth/authorize/continue?posted=x"} {
		if p := b.get(path); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, p.status)
		}
	}
	form := b.get("/login").form("/login")
	form.Set("flow", "x")
	form.Set("login", ada)
	form.Set("password", good)
	if p := b.post("/login", form); p.status != http.StatusBadRequest || b.signedIn() {
		t.Errorf("a made-up flow: %d", p.status)
	}
	// A target of a client and a flow at once: the flow counts, and nothing else.
	to := b.get(link()).header.Get("Location")
	p := b.get(to + "&client_id=other&return_to=https://other.example/")
	if fields := p.form("/login"); slices.Contains([]string{fields.Get("return_to"), fields.Get("client_id")}, "other") || fields.Get("flow") == "" {
		t.Errorf("fields %v", fields)
	}
}
