package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/pages"
	"github.com/wafer-auth/wafer/verify/bound"
)

func TestRoutesAreSortedAndPrivateUnlessTheySayPublic(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	last := ""
	for _, row := range pages.Routes {
		if key := row.Path + " " + row.Method; key < last {
			t.Errorf("%s %s is not in order", row.Method, row.Path)
		} else {
			last = key
		}
		if row.Method == "POST" && (row.Form == "") != row.Foreign {
			t.Errorf("%s reads no form: its code would not be checked", row.Path)
		}
		if row.Public {
			continue
		}
		b := g.browser()
		got := b.get(row.Path)
		if row.Method == "POST" {
			got = b.post(row.Path, url.Values{})
		}
		if got.status != http.StatusSeeOther || got.header.Get("Location") != signInFor(row.Method, row.Path) {
			t.Errorf("%s %s for nobody: %d to %q, want the sign-in page", row.Method, row.Path, got.status, got.header.Get("Location"))
		}
	}
}

func TestEveryFormRefusesAWrongCode(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	stranger := g.browser()
	stranger.signIn(eve)
	for _, row := range pages.Routes {
		if row.Method != "POST" || row.Foreign {
			continue
		}
		for name, code := range map[string]string{
			"no code": "", "made-up code": strings.Repeat("A", 43),
			"code of another browser": stranger.get("/account").form("/account/end").Get("csrf"),
		} {
			b := g.browser()
			b.get("/login")
			if !row.Public || row.Path == "/logout" {
				b.signIn(ada)
			}
			got := b.post(row.Path, url.Values{"csrf": {code}, "login": {ada}, "password": {good}})
			if got.status != http.StatusForbidden {
				t.Errorf("%s with %s: %d, want 403", row.Path, name, got.status)
			}
			if b.cookie(middleware.CookieName) != "" != (!row.Public || row.Path == "/logout") {
				t.Errorf("%s with %s changed who is signed in", row.Path, name)
			}
		}
	}
}

func TestSignInSetsAStrictCookie(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	got := b.send(b.get("/login"), "/login", "login", ada, "password", good)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/account" {
		t.Fatalf("%d to %q", got.status, got.header.Get("Location"))
	}
	for _, line := range got.header.Values("Set-Cookie") {
		for _, want := range []string{"__Host-Http-wafer", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
			if !strings.Contains(line, want) {
				t.Errorf("cookie %q lacks %s", line, want)
			}
		}
		if strings.Contains(line, "Domain") {
			t.Errorf("cookie %q names a domain", line)
		}
	}
	if p := b.get("/account"); p.status != http.StatusOK || !strings.Contains(p.body, "Firefox on Linux") {
		t.Errorf("account: %d", p.status)
	}
}

func TestWrongPasswordKeepsTheLoginAndSaysSoBesideTheField(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	for _, login := range []string{ada, "nobody@example.com"} {
		got := b.send(b.get("/login"), "/login", "login", login, "password", "not-her-password")
		if got.status != http.StatusUnauthorized || got.header.Get("Location") != "" {
			t.Fatalf("%s: %d", login, got.status)
		}
		for _, want := range []string{`value="` + login + `"`, `id="wrong" role="alert">Wrong login or password.<`, `aria-describedby="wrong"`} {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s: no %s", login, want)
			}
		}
		if strings.Contains(got.body, "not-her-password") || b.cookie(middleware.CookieName) != "" {
			t.Errorf("%s: the password came back, or a session began", login)
		}
	}
	b.signIn(ada)
	if strings.Contains(g.logged.String(), good) || strings.Contains(g.logged.String(), "not-her-password") {
		t.Error("a password is in the log")
	}
}

func TestTooManyAttemptsSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	for range 30 {
		got := b.send(b.get("/login"), "/login", "login", ada, "password", "wrong")
		if got.status == http.StatusUnauthorized {
			continue
		}
		if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "Try again in ") {
			t.Fatalf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
		}
		return
	}
	t.Fatal("30 wrong passwords and no limit")
}

// Login CSRF: who makes somebody else's browser sign in to their own account sees
// what that person does there.
func TestLoginWithCodeOfAnotherBrowserIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	attacker, victim := g.browser(), g.browser()
	page := attacker.get("/login")
	victim.get("/login")
	if got := victim.send(page, "/login", "login", eve, "password", good); got.status != http.StatusForbidden || victim.signedIn() {
		t.Fatalf("with the attacker's code: %d", got.status)
	}
	fresh := g.browser()
	if got := fresh.send(page, "/login", "login", eve, "password", good); got.status != http.StatusForbidden || fresh.signedIn() {
		t.Fatalf("without a cookie: %d", got.status)
	}
	got := victim.post("/login", victim.get("/login").form("/login"), "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	if got.status != http.StatusForbidden || victim.signedIn() {
		t.Fatalf("from another site: %d", got.status)
	}
	victim.signIn(ada)
	if !victim.signedIn() {
		t.Fatal("the matching code does not sign in")
	}
}

func TestCodeIsGoodForItsFormOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	account := b.get("/account")
	if got := b.post("/account/end-all", account.form("/account/end")); got.status != http.StatusForbidden {
		t.Errorf("code of another form: %d, want 403", got.status)
	}
	if !b.signedIn() {
		t.Fatal("signed out all the same")
	}
	if got := b.send(account, "/account/end-all"); got.status != http.StatusSeeOther || b.signedIn() {
		t.Errorf("its own code: %d, want 303 and signed out", got.status)
	}
}

func TestPlantedSessionIsReplacedAtLogin(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	form := b.get("/login")
	b.signIn(eve) // in another tab
	planted := b.cookie(middleware.CookieName)
	if got := b.get("/login"); got.header.Get("Location") != "/account" {
		t.Fatalf("signed in and asked again: %d", got.status)
	}
	again := b.send(form, "/login", "login", ada, "password", good)
	if again.status != http.StatusForbidden || !strings.Contains(again.body, `value="`+ada+`"`) {
		t.Fatalf("form from before the sign-in: %d, want it to be shown again", again.status)
	}
	if got := b.send(again, "/login", "login", ada, "password", good); got.status != http.StatusSeeOther {
		t.Fatalf("sent again: %d", got.status)
	}
	if _, _, found, err := g.sessions.Find(t.Context(), planted, bound.Seen{}); err != nil || found {
		t.Errorf("the planted secret still works: %v", err)
	}
	if b.cookie(middleware.CookieName) == planted || !strings.Contains(b.get("/account").body, "Ada Lovelace") {
		t.Error("the session kept its secret, or its person")
	}
}

func TestReturnGoesToRegisteredAddressesOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const shop = "https://shop.example/callback"
	for _, c := range []struct {
		name, client, to string
		good             bool
	}{
		{"registered", "shop-web", shop, true},
		{"stranger", "", "https://evil.example/", false},
		{"registered with a tail", "shop-web", shop + "/more", false},
		{"registered with a query", "shop-web", shop + "?x=1", false},
		{"registered in capitals", "shop-web", "https://SHOP.example/callback", false},
		{"registered over http", "shop-web", "http://shop.example/callback", false},
		{"registered with a port", "shop-web", "https://shop.example:443/callback", false},
		{"registered with a user", "shop-web", "https://shop.example@evil.example/callback", false},
		{"another client's", "shop-web", "https://other.example/", false},
		{"without its client", "", shop, false},
		{"client alone", "shop-web", "", false},
		{"unknown client", "nobody", shop, false},
		{"disabled client", "off", "https://off.example/", false},
		{"no scheme", "", "//evil.example/", false},
		{"backslash", "", `/\evil.example/`, false},
		{"line break", "", "/account\r\nX: y", false},
		{"script", "", "javascript:alert(1)", false},
		{"own page not on the list", "", "/account/end-all", false},
		{"own page, dotted", "", "/account/../login", false},
		{"own page", "", "/account", true},
		{"registered with its query", "shop-web", shop + "?a=1&b=2", true},
		{"first party, its origin", "own-app", "https://app.example", true},
		{"first party, anywhere in its origin", "own-app", "https://app.example/orders?id=7", true},
		{"first party, another of its origins", "own-app", "http://localhost:3000/", true},
		{"first party, another host", "own-app", "https://app.example.evil.example/", false},
		{"first party, user", "own-app", "https://app.example@evil.example/", false},
		{"first party, another port", "own-app", "https://app.example:8443/", false},
		{"first party, in the clear", "own-app", "http://app.example/", false},
		{"first party, in capitals", "own-app", "https://APP.example/", false},
		{"first party, dot", "own-app", "https://app.example./", false},
		{"first party, backslash", "own-app", `https://app.example\@evil.example/`, false},
		{"first party, backslash in the path", "own-app", `https://app.example/\evil.example`, false},
		{"first party, two slashes", "own-app", "//app.example/", false},
		{"first party, no slashes", "own-app", "https:app.example/", false},
		{"first party, path alone", "own-app", "/orders", false},
		{"first party, tab", "own-app", "https://app.example\t/", false},
		{"first party, line break", "own-app", "https://app.example/\r\nSet-Cookie: a=b", false},
		{"first party, Unicode dot", "own-app", "https://app\u3002example/", false},
		{"first party, data", "own-app", "data:text/html,x", false},
		{"first party, origin of another client", "own-app", "https://shop.example/", false},
		{"not first party, its origin", "their-app", "https://theirs.example/", false},
		{"native, the port it found", "cli", "http://127.0.0.1:49152/done", true}, // CONTROL-005
		{"native, another path", "cli", "http://127.0.0.1:49152/", false},
		{"native, another address", "cli", "http://127.0.0.2:49152/done", false},
	} {
		b := g.browser()
		query := "/login?" + url.Values{"client_id": {c.client}, "return_to": {c.to}}.Encode()
		got := b.get(query)
		want := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[c.good]
		if got.status != want {
			t.Errorf("%s: GET %d, want %d", c.name, got.status, want)
		}
		fields := b.get("/login").form("/login")
		fields.Set("client_id", c.client)
		fields.Set("return_to", c.to)
		fields.Set("login", ada)
		fields.Set("password", good)
		got = b.post("/login", fields)
		if c.good && (got.status != http.StatusSeeOther || got.header.Get("Location") != c.to) {
			t.Errorf("%s: POST %d to %q", c.name, got.status, got.header.Get("Location"))
		}
		if !c.good && (got.status != http.StatusBadRequest || got.header.Get("Location") != "" || b.signedIn()) {
			t.Errorf("%s: POST %d to %q, want 400 and nobody signed in", c.name, got.status, got.header.Get("Location"))
		}
	}
}

func TestPageNamesTheClientAndLetsItsFormLeadThereOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	p := b.get("/login?client_id=shop-web&return_to=https://shop.example/callback")
	if !strings.Contains(p.body, "The &lt;Shop&gt;") || !strings.Contains(p.body, ">shop.example<") {
		t.Error("the page does not say where it leads")
	}
	for path, want := range map[string]string{
		"/login": "form-action 'self';",
		"/login?client_id=shop-web&return_to=https://shop.example/callback": "form-action 'self' https://shop.example;",
		"/login?client_id=phone&return_to=com.example.app:/done":            "form-action 'self' com.example.app:;",
		"/login?client_id=own-app&return_to=https://app.example/orders?x=1": "form-action 'self' https://app.example;",
		"/login?return_to=https://evil.example/":                            "form-action 'self';",
	} {
		if policy := b.get(path).header.Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("%s: policy %q, want %q in it", path, policy, want)
		}
	}
}

func TestSetupIsThereOnceAndForTheTokenOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	token, offered, err := g.admin.OfferBootstrap(t.Context())
	if err != nil || !offered {
		t.Fatal(offered, err)
	}
	fill := func(token string) page {
		return b.send(b.get("/setup"), "/setup", "token", token, "login", "root@example.com", "name", "Root", "password", better)
	}
	if got := fill("AAAAAAAAAAAAAAAAAAAAAA"); got.status != http.StatusForbidden || !strings.Contains(got.body, `value="root@example.com"`) {
		t.Fatalf("wrong token: %d", got.status)
	}
	if got := fill(token); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login?done=setup" {
		t.Fatalf("right token: %d to %q\n%s", got.status, got.header.Get("Location"), got.body)
	}
	u, err := g.admin.User(t.Context(), "root@example.com")
	if err != nil || !u.HasRole("admin") {
		t.Errorf("administrator: %v %v", u.Roles, err)
	}
	for _, got := range []page{b.get("/setup"), b.post("/setup", url.Values{"token": {token}})} {
		if got.status != http.StatusNotFound {
			t.Errorf("afterwards: %d, want 404", got.status)
		}
	}
	if got := b.get("/"); strings.Contains(got.body, "/setup") {
		t.Error("the start page still offers the set-up")
	}
	if strings.Contains(g.logged.String(), token) {
		t.Error("the token is in the log")
	}
}

func TestSetupIsNotThereWhenNothingIsOffered(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.offered = false
	if got := g.browser().get("/setup"); got.status != http.StatusNotFound {
		t.Errorf("%d, want 404", got.status)
	}
	g.offered = true
	if got := g.browser().get("/setup"); got.status != http.StatusOK {
		t.Errorf("when offered: %d, want 200", got.status)
	}
}

func TestLoginOfADisabledAccountLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	off := true
	if _, err := g.admin.EditUser(t.Context(), admin.ByCLI(), ada, admin.UserEdit{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	if b.signedIn() {
		t.Error("the session outlived the ban")
	}
	got := b.send(b.get("/login"), "/login", "login", ada, "password", good)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.body, "Wrong login or password.") {
		t.Errorf("%d", got.status)
	}
}
