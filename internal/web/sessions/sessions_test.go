package sessions_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

type fields = map[string]string

func TestSignInGivesACookieAndSignOutTakesIt(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.want(b.send("GET", "/session", nil), 401)
	r := b.signIn("ada")
	if r.at("session", "id") == "" || r.at("session", "user") != g.users["ada"].ID || r.at("session", "expires_at") != "2026-11-27T09:00:00Z" {
		t.Errorf("got %s", r.text)
	}
	if r.at("access_token") != "" {
		t.Errorf("nobody asked for a token: %s", r.text)
	}
	set := r.Header.Values("Set-Cookie")
	if len(set) != 2 || !strings.HasPrefix(set[0], "__Host-Http-wafer=") || !strings.HasSuffix(set[0], "; Path=/; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("got %q", set)
	}
	me := b.send("GET", "/session", nil)
	b.want(me, 200)
	if me.at("session", "login") != "ada@example.com" || me.at("session", "auth_time") != "2026-11-20T09:00:00Z" || me.at("session", "id") != r.at("session", "id") {
		t.Errorf("got %s", me.text)
	}
	old := b.cookie()
	out := b.send("DELETE", "/session", nil)
	b.want(out, 204)
	if b.cookie() != "" {
		t.Error("the cookie is still there")
	}
	b.want(b.send("DELETE", "/session", nil), 401)
	if got := g.browser().keep(old).who(); got != "" {
		t.Errorf("the old cookie is %s", got)
	}
}

func TestFirstPartyClientGetsTokensToo(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	ask := fields{"login": "ada@example.com", "password": good, "client_id": "shop-web", "api": orders, "scope": "orders:read"}
	b := g.browser()
	r := b.send("POST", "/session", ask)
	b.want(r, 201)
	if r.at("access_token") == "" || r.at("refresh_token") == "" || r.at("token_type") != "Bearer" || r.body["expires_in"] != 300.0 || b.who() == "" {
		t.Errorf("got %s", r.text)
	}
	for name, change := range map[string]fields{
		"client that is not first-party": {"client_id": "stranger"}, "unknown client": {"client_id": "nobody"},
		"API the client has not": {"api": "https://vault.example"}, "scope that is no scope": {"scope": "orders:read  x"},
		"scope the API has not": {"scope": "orders:burn"}, "no client": {"client_id": ""},
	} {
		bad := fields{}
		for _, from := range []fields{ask, change} {
			for k, v := range from {
				bad[k] = v
			}
		}
		c := g.browser()
		r := c.send("POST", "/session", bad)
		if r.StatusCode < 400 || c.cookie() != "" || r.at("access_token") != "" {
			t.Errorf("%s: got %d %s", name, r.StatusCode, r.text)
		}
	}
	b.want(g.browser().send("POST", "/session", ask), 201)
}

func TestSwapGivesATokenForTheCookie(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	ask := fields{"client_id": "shop-web", "api": orders, "scope": "orders:read"}
	b.want(b.send("POST", "/session/token", ask), 401)
	b.signIn("ada")
	r := b.send("POST", "/session/token", ask)
	b.want(r, 200)
	if r.at("access_token") == "" || r.at("refresh_token") != "" || r.at("scope") != "orders:read" {
		t.Errorf("got %s", r.text)
	}
	b.want(b.send("POST", "/session/token", fields{"client_id": "stranger", "api": orders}), 400)
	b.want(b.send("POST", "/session/token", fields{"api": orders}), 400)
	b.want(b.send("POST", "/session/token", fields{"client_id": "shop-web", "api": "https://vault.example"}), 400)
	b.want(b.send("POST", "/session/token", fields{"client_id": "shop-web", "api": orders, "scope": "orders:write"}), 400) // not ada's
	b.want(b.send("DELETE", "/session", nil), 204)
	b.want(b.send("POST", "/session/token", ask), 401)
}

func TestWrongPasswordUnknownUserAndBanAreOneAnswer(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	disabled := true
	_, err := g.admin.EditUser(t.Context(), admin.ByCLI(), g.users["bob"].ID, admin.UserEdit{Disabled: &disabled})
	g.must(err)
	g.browser().signIn("ada")
	seen := map[string]bool{}
	for _, in := range []fields{
		{"login": "ada@example.com", "password": "wrong-" + good}, {"login": "nobody@example.com", "password": good},
		{"login": "bob@example.com", "password": good}, {"login": "bob@example.com", "password": "wrong-" + good},
	} {
		b := g.browser()
		r := b.send("POST", "/session", in)
		b.want(r, 401)
		if len(r.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("a refusal set %v", r.Header.Values("Set-Cookie"))
		}
		seen[r.text] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d different answers: %v", len(seen), seen)
	}
	g.browser().signIn("ada")
}

// SESS-001: an id planted by somebody else is never taken over, and the session
// it belongs to ends.
func TestFixatedCookieIsReplaced(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	attacker := g.browser()
	attacker.signIn("bob")
	planted := attacker.cookie()
	victim := g.browser().keep(planted)
	victim.signIn("ada")
	if victim.cookie() == planted || victim.who() != g.users["ada"].ID {
		t.Error("the planted id lives on")
	}
	if attacker.who() != "" {
		t.Error("the planted session lives on")
	}
	made := g.browser().keep(strings.Repeat("A", 43))
	made.signIn("ada")
	if made.cookie() == strings.Repeat("A", 43) {
		t.Error("a made-up id was taken over")
	}
}

// SESS-018
func TestUserSwitchInOneBrowserMixesNobody(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	r := b.send("POST", "/session", fields{"login": "ada@example.com", "password": good, "client_id": "shop-web", "api": orders})
	b.want(r, 201)
	first := b.cookie()
	b.signIn("bob")
	if b.who() != g.users["bob"].ID {
		t.Error("bob is not bob")
	}
	if got := g.browser().keep(first).who(); got != "" {
		t.Errorf("the replaced session is %s", got)
	}
	failed := b.send("POST", "/session", fields{"login": "ada@example.com", "password": "wrong-" + good})
	b.want(failed, 401)
	if b.who() != g.users["bob"].ID {
		t.Error("a failed login changed who is signed in")
	}
}

// SESS-002
func TestPasswordChangeRotatesTheCookieAndEndsOthers(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	here, there := g.browser(), g.browser()
	here.signIn("ada")
	there.signIn("ada")
	old := here.cookie()
	here.want(here.send("POST", "/account/password", fields{"current": "wrong-" + good, "new": better}), 403)
	here.want(here.send("POST", "/account/password", fields{"current": good, "new": "short"}), 400)
	if here.who() == "" || there.who() == "" || here.cookie() != old {
		t.Fatal("a refused change changed something")
	}
	here.want(here.send("POST", "/account/password", fields{"current": good, "new": better}), 204)
	if here.cookie() == old || here.who() == "" {
		t.Error("the cookie was not renewed")
	}
	if g.browser().keep(old).who() != "" || there.who() != "" {
		t.Error("an old cookie still works")
	}
	b := g.browser()
	b.want(b.send("POST", "/session", fields{"login": "ada@example.com", "password": good}), 401)
	b.want(b.send("POST", "/session", fields{"login": "ada@example.com", "password": better}), 201)
}

// SESS-007
func TestServerDecidesWhenASessionIsOver(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	idle, busy := g.browser(), g.browser()
	idle.signIn("ada")
	busy.signIn("ada")
	later := func() {
		t.Helper()
		if err := g.sessions.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.clock.forward(time.Hour)
	}
	for range 13 {
		later()
		if busy.who() == "" {
			t.Fatal("a session in use ended")
		}
	}
	if idle.who() != "" {
		t.Error("13 hours unused and still alive")
	}
	for range 154 {
		later()
		busy.who()
	}
	if busy.who() == "" {
		t.Fatal("ended before the absolute limit")
	}
	g.clock.forward(time.Hour) // 168 h
	if busy.who() != "" {
		t.Error("use moved the absolute limit")
	}
	busy.signIn("ada")
}

// SESS-009
func TestSessionIDOutsideTheCookieIsIgnored(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	id := b.signIn("ada").at("session", "id")
	value := b.cookie()
	for _, secret := range []string{value, id} {
		for name, header := range map[string]string{
			"Authorization": "Bearer " + secret, "X-Session": secret, "X-Auth-Token": secret,
			"Cookie": "session=" + secret + "; wafer=" + secret + "; __Host-wafer=" + secret + "; __host-http-wafer=" + secret,
		} {
			c := g.browser()
			c.headers.Set(name, header)
			if got := c.who(); got != "" {
				t.Errorf("%s made %s", name, got)
			}
		}
		c := g.browser()
		c.want(c.send("GET", "/session?session="+secret+"&"+middleware.CookieName+"="+secret, nil), 401)
		c.want(c.send("GET", "/session/"+secret, nil), 404)
		c.want(c.send("POST", "/session/token", fields{"client_id": "shop-web", "api": orders}), 401)
	}
	if b.who() == "" {
		t.Error("the cookie itself does not work")
	}
}

// SESS-011
func TestTamperedCookieIsAbsent(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	id := b.signIn("ada").at("session", "id")
	value := b.cookie()
	flipped := []byte(value)
	flipped[10] ^= 1
	for _, bad := range []string{
		string(flipped), value[:42], value + "A", strings.ToUpper(value), strings.ToLower(value), id, g.users["ada"].ID,
		"%22" + value + "%22", "eyJzdWIiOiJhZGEifQ", "e30=", strings.Repeat("A", 43), strings.Repeat("A", 4000), "-", "null", "0",
	} {
		if got := g.browser().keep(bad).who(); got != "" {
			t.Errorf("%.50q is %s", bad, got)
		}
	}
	if b.who() == "" {
		t.Error("the cookie itself does not work")
	}
}

// SESS-012
func TestTossedCookieIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	ada, bob := g.browser(), g.browser()
	ada.signIn("ada")
	bob.signIn("bob")
	mine, evil := middleware.CookieName+"="+ada.cookie(), middleware.CookieName+"="+bob.cookie()
	for name, header := range map[string]string{"before": evil + "; " + mine, "after": mine + "; " + evil, "twice": mine + "; " + mine} {
		for _, send := range []func(*browser) reply{
			func(b *browser) reply { return b.send("GET", "/session", nil) },
			func(b *browser) reply { return b.send("DELETE", "/session", nil) },
			func(b *browser) reply {
				return b.send("POST", "/session", fields{"login": "ada@example.com", "password": good})
			},
		} {
			b := g.browser()
			b.headers.Set("Cookie", header)
			r := send(b)
			if r.StatusCode != 400 {
				t.Errorf("%s, %s: got %d %s", name, r.Request.Method, r.StatusCode, r.text)
			}
		}
	}
	for _, prefixed := range []string{"\t" + evil, "x=y;\t" + evil, strings.Replace(evil, "=", " =", 1)} {
		b := g.browser()
		b.headers["Cookie"] = []string{mine + "; " + prefixed}
		if got := b.who(); got != g.users["ada"].ID {
			t.Errorf("with %.20q: %q", prefixed, got)
		}
	}
}

// CSRF-002, CSRF-004
func TestCrossSiteRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn("ada")
	before := b.cookie()
	login := fields{"login": "bob@example.com", "password": good}
	for _, from := range []http.Header{
		{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.test"}},
		{"Origin": {"https://sub.127.0.0.1"}, "Sec-Fetch-Site": {"same-site"}}, {"Origin": {"null"}}, {"Sec-Fetch-Site": {"cross-site"}},
	} {
		b.headers = from
		b.want(b.send("POST", "/session", login), 403)
		b.want(b.send("DELETE", "/session", nil), 403)
		b.want(b.send("POST", "/session/token", fields{"client_id": "shop-web", "api": orders}), 403)
		b.want(b.send("POST", "/account/password", fields{"current": good, "new": better}), 403)
	}
	b.headers = http.Header{}
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		body := `{"login":"bob@example.com","password":"` + good + `"}`
		b.want(b.sendText("POST", "/session", contentType, body), 403)           // any form could send this along with the cookie
		b.want(g.browser().sendText("POST", "/session", contentType, body), 415) // nothing to ride on
	}
	b.headers = http.Header{"Sec-Fetch-Site": {"same-origin"}}
	b.want(b.sendText("POST", "/session", "application/json", ""), 415)
	b.headers = http.Header{}
	for path, allowed := range map[string]int{"/session?_method=DELETE": 200, "/session/token": 405, "/account/password": 405} {
		b.want(b.send("GET", path, nil), allowed)
	}
	b.headers = http.Header{"X-Http-Method-Override": {"DELETE"}}
	b.want(b.send("GET", "/session", nil), 200)
	b.want(b.send("HEAD", "/sessions", nil), 200)
	b.headers = http.Header{}
	if b.cookie() != before || b.who() != g.users["ada"].ID {
		t.Error("the victim's session changed")
	}
	b.headers = http.Header{"Origin": {"https://shop.example"}, "Sec-Fetch-Site": {"cross-site"}}
	b.want(b.send("DELETE", "/session", nil), 204)
}

// CSRF-006
func TestOnlyFirstPartyPagesMayReadSessions(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn("ada")
	for _, origin := range []string{"https://shop.example", "https://evil.test", "null", "https://shop.example.evil.test", "https://SHOP.example"} {
		for _, method := range []string{"OPTIONS", "GET"} {
			b.headers = http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"GET"}}
			r := b.send(method, "/session", nil)
			want, credentials := "", ""
			if origin == "https://shop.example" {
				want, credentials = origin, "true"
			}
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != want || r.Header.Get("Access-Control-Allow-Credentials") != credentials {
				t.Errorf("%s from %s: allowed %q", method, origin, got)
			}
		}
	}
}

func TestPeopleSeeAndEndTheirOwnSessionsOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	here, there, bob := g.browser(), g.browser(), g.browser()
	there.headers.Set("User-Agent", "evil <script> \xff \u202e")
	other := there.signIn("ada").at("session", "id")
	mine := here.signIn("ada").at("session", "id")
	foreign := bob.signIn("bob").at("session", "id")
	r := here.send("GET", "/sessions", nil)
	here.want(r, 200)
	rows, _ := r.body["items"].([]any)
	if len(rows) != 2 || strings.Contains(r.text, foreign) || strings.Contains(r.text, there.cookie()) {
		t.Fatalf("got %s", r.text)
	}
	for _, row := range rows {
		m, _ := row.(map[string]any)
		if m["current"] != (m["id"] == mine) {
			t.Errorf("got %v", m)
		}
		for name := range m {
			if strings.Contains(name, "secret") || strings.Contains(name, "digest") || strings.Contains(name, "hash") {
				t.Errorf("a row tells %s", name)
			}
		}
	}
	here.want(here.send("DELETE", "/sessions/"+foreign, nil), 404)
	here.want(here.send("DELETE", "/sessions/ses_nothing", nil), 404)
	if bob.who() == "" {
		t.Fatal("somebody else's session was ended")
	}
	here.want(here.send("DELETE", "/sessions/"+other, nil), 204)
	if there.who() != "" || here.who() == "" {
		t.Error("the wrong session was ended")
	}
	here.want(here.send("DELETE", "/sessions/"+mine, nil), 204)
	if here.cookie() != "" {
		t.Error("the cookie is still there")
	}
}

// ADMIN-010, LOGIN-008
func TestHostileInputIsRefusedOrWrittenOnce(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	events := func() int {
		all, err := g.store.Events(t.Context(), 0, 1000)
		g.must(err)
		return len(all)
	}
	b := g.browser()
	for _, login := range []string{"a\r\nb", "\x1b[31m", `","x":"`, "a\x00b", strings.Repeat("a", 50_000), "", "\u202eada"} {
		r := b.send("POST", "/session", fields{"login": login, "password": "sesame-" + good})
		if r.StatusCode != 400 && r.StatusCode != 401 {
			t.Errorf("%.20q: got %d %s", login, r.StatusCode, r.text)
		}
	}
	before := events()
	b.want(b.send("POST", "/session", fields{"login": "ada@example.com", "password": "sesame-" + good}), 401)
	if got := events() - before; got != 1 {
		t.Errorf("one refusal made %d events", got)
	}
	b.want(b.send("POST", "/session", fields{"login": "ada@example.com", "password": strings.Repeat("x", 70_000)}), 413)
	if strings.Contains(g.logged.String(), "sesame") || strings.Contains(g.logged.String(), "\x1b") {
		t.Error("the log holds what it must not")
	}
}

func TestBruteForceIsSlowedDown(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	slowed := reply{}
	for range 30 {
		slowed = b.send("POST", "/session", fields{"login": "ada@example.com", "password": "wrong-" + good})
		if slowed.StatusCode == 429 {
			break
		}
		b.want(slowed, 401)
	}
	if slowed.StatusCode != 429 || slowed.Header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q", slowed.StatusCode, slowed.Header.Get("Retry-After"))
	}
	g.clock.forward(30 * time.Minute)
	b.signIn("ada")
}

// SESS-019
func TestParallelLoginsNeverCross(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var wg sync.WaitGroup
	for i := range 40 {
		name := []string{"ada", "bob"}[i%2]
		b := g.browser()
		wg.Go(func() {
			r := b.send("POST", "/session", fields{"login": name + "@example.com", "password": good})
			if r.StatusCode == 503 || r.StatusCode == 429 {
				return // shed, which is no answer about anybody
			}
			if r.at("session", "user") != g.users[name].ID || b.who() != g.users[name].ID {
				t.Errorf("%s became %s", name, r.text)
			}
		})
	}
	wg.Wait()
}

// Every row but those named here refuses somebody who is not signed in.
func TestRoutesAreDeniedByDefault(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	public := map[string]bool{"POST /session": true}
	for _, row := range [][2]string{
		{"POST", "/account/password"}, {"DELETE", "/session"}, {"GET", "/session"}, {"POST", "/session"}, {"POST", "/session/token"},
		{"GET", "/sessions"}, {"DELETE", "/sessions/ses_x"},
	} {
		b := g.browser()
		r := b.send(row[0], row[1], fields{})
		if denied := r.StatusCode == 401; denied == public[row[0]+" "+row[1]] {
			t.Errorf("%s %s: got %d", row[0], row[1], r.StatusCode)
		}
	}
}
