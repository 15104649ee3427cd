package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/spa/app"
)

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

var unsafe = map[string]string{
	"/api/sign-in": credentials("bob@example.com", password), "/api/sign-out": `{}`, "/api/sign-out-everywhere": `{}`,
}

// CSRF-002, CSRF-004, CSRF-006
func TestForgedRequestIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	attacks := []struct {
		name  string
		code  string
		forge func(*http.Request)
	}{
		{"cross-site form", "cross_origin", headers("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Content-Type", "text/plain")},
		{"another port of the host", "cross_origin", headers("Sec-Fetch-Site", "same-site", "Origin", "http://localhost:9999")},
		{"old browser", "cross_origin", headers("Sec-Fetch-Site", "", "Origin", "http://localhost:9999")},
		{"sandboxed frame", "cross_origin", headers("Sec-Fetch-Site", "", "Origin", "null")},
		{"form as text", "unsupported_type", headers("Content-Type", "text/plain")},
		{"form", "unsupported_type", headers("Content-Type", "application/x-www-form-urlencoded")},
		{"no type", "unsupported_type", headers("Content-Type", "")},
		{"almost JSON", "unsupported_type", headers("Content-Type", "application/json-seq")},
		{"two types", "unsupported_type", func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }},
	}
	for path, body := range unsafe {
		for _, attack := range attacks {
			t.Run(path[5:]+" "+attack.name, func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				b := g.signedIn("ada")
				was := b.cookie
				g.requests()
				r := b.request("POST", path, body)
				attack.forge(r)
				res := b.send(r)
				if res.StatusCode != 403 && res.StatusCode != 415 || res.str("error") != attack.code || b.cookie != was {
					t.Errorf("got %d %s, want %s", res.StatusCode, res.text, attack.code)
				}
				if asked := g.requests(); len(asked) != 0 {
					t.Errorf("%q was asked", asked)
				}
				b.wantIn("ada")
				if res := b.post(path, body); res.StatusCode/100 != 2 {
					t.Errorf("the honest request: %d %s", res.StatusCode, res.text)
				}
			})
		}
	}
}

func headers(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			r.Header.Del(pairs[i])
			if pairs[i+1] != "" {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
}

// CSRF-004: other methods reach nothing, and reading is for our own page too.
func TestOtherMethodsAndReadsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	for path := range unsafe {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			if r := b.send(b.request(method, path, "")); r.StatusCode < 400 {
				t.Errorf("%s %s: %d", method, path, r.StatusCode)
			}
		}
	}
	g.requests()
	for _, site := range []string{"cross-site", "same-site"} {
		for _, path := range []string{"/api/me", "/api/orders"} {
			r := b.request("GET", path, "")
			r.Header.Set("Sec-Fetch-Site", site)
			b.want(b.send(r), 403, "cross_origin")
		}
	}
	if asked := g.requests(); len(asked) != 0 {
		t.Errorf("%q was asked", asked)
	}
	b.wantIn("ada")
}

// SESS-001: session fixation.
func TestPlantedValueIsNeverTakenOver(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	attacker := g.signedIn("bob")
	for name, planted := range map[string]string{"made up": strings.Repeat("A", 43), "attacker's own": attacker.cookie, "empty": ""} {
		victim := &browser{rig: g, cookie: planted}
		r := victim.request("POST", "/api/sign-in", credentials("ada@example.com", password))
		r.Header.Set("Cookie", cookieName+"="+planted)
		victim.want(victim.send(r), 204, "")
		if victim.cookie == planted {
			t.Errorf("%s: the planted value lives on", name)
		}
		victim.wantIn("ada")
		g.requests()
		(&browser{rig: g, cookie: planted}).get("/api/orders")
		if asked := g.requests(); len(asked) != 0 {
			t.Errorf("%s: the old entry is still kept: %q was asked", name, asked)
		}
		if planted != "" {
			(&browser{rig: g, cookie: planted}).wantIn("")
		}
	}
	if g.live() != 3 {
		t.Errorf("%d sessions live at Wafer, want ada's three: bob's was replaced", g.live())
	}
}

// SESS-012: a sibling host tosses a second cookie.
func TestTossedDuplicateCookiesAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b, evil := g.signedIn("ada"), g.signedIn("bob")
	mine, theirs := cookieName+"="+b.cookie, cookieName+"="+evil.cookie
	for name, lines := range map[string][]string{
		"theirs first": {theirs + "; " + mine}, "mine first": {mine + "; " + theirs}, "two headers": {mine, theirs},
		"the same twice": {mine + "; " + mine}, "one empty": {mine + "; " + cookieName + "="},
	} {
		for _, row := range []string{"GET /api/me", "GET /api/orders", "POST /api/sign-in", "POST /api/sign-out", "POST /api/sign-out-everywhere"} {
			method, path, _ := strings.Cut(row, " ")
			r := b.request(method, path, unsafe[path])
			r.Header["Cookie"] = lines
			res := b.send(r)
			b.want(res, 400, "two_cookies")
			if len(res.Cookies()) != 0 {
				t.Errorf("%s, %s: cookies %v", name, row, res.Cookies())
			}
		}
	}
	b.wantIn("ada")
	evil.wantIn("bob")
}

// SESS-011: names that browsers do not protect mean nothing.
func TestCookieUnderAnAlmostEqualNameIsNotRead(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	for _, pair := range []string{
		"__host-http-spa=" + b.cookie, cookieName + " =" + b.cookie, "\t" + cookieName + "=" + b.cookie, "  " + cookieName + "=" + b.cookie,
		"__Host-spa=" + b.cookie, "spa=" + b.cookie, "x" + cookieName + "=" + b.cookie,
	} {
		r := b.request("GET", "/api/orders", "")
		r.Header.Set("Cookie", pair)
		b.want(b.send(r), 401, "signed_out")
	}
	for _, value := range []string{b.cookie[1:], b.cookie + "A", `"` + b.cookie + `"`, strings.ToLower(b.cookie)} {
		(&browser{rig: g, cookie: value}).wantIn("")
	}
	b.wantIn("ada")
}

// SESS-009: the credential counts in its own cookie only.
func TestTokensOfWaferOpenNothingHere(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.mu.Lock()
	issued := append([]string{b.cookie}, g.issued...)
	g.mu.Unlock()
	for i, secret := range issued {
		r := (&browser{rig: g}).request("GET", "/api/orders?session="+secret, "")
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Cookie", "__Host-Http-wafer="+secret)
		b.want(b.send(r), 401, "signed_out")
		if i > 0 {
			(&browser{rig: g, cookie: secret}).wantIn("")
		}
	}
	b.wantIn("ada")
}

func TestOversizedAndOddBodiesAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.requests()
	huge := `{"login":"` + strings.Repeat("a", 9<<10) + `"}`
	for path := range unsafe {
		b.want(b.post(path, huge), 413, "too_large")
		b.want(b.post(path, `{}`+strings.Repeat(" ", 9<<10)), 413, "too_large")
		for _, body := range []string{``, `{`, `[]`, `"x"`, `{"admin":true}`, `{}{}`, `{} x`, `login=ada`} {
			b.want(b.post(path, body), 400, "invalid_request")
		}
	}
	if asked := g.requests(); len(asked) != 0 {
		t.Errorf("%q was asked", asked)
	}
	b.wantIn("ada")
}

func TestReboundHostIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	for _, host := range []string{"evil.example", "evil.example:3001", "localhost", "localhost:3002", "127.0.0.1:3001"} {
		for _, path := range []string{"/", "/api/me"} {
			r := b.request("GET", path, "")
			r.Host = host
			b.want(b.send(r), 421, "misdirected")
		}
	}
	b.wantIn("ada")
}

// REFRESH-002: the tabs of a browser come at once. A second use of the refresh
// token would end the session.
func TestRefreshRaceIsOneRefreshAndAllSucceed(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	for round := range 3 {
		g.forward(life * time.Second)
		g.storm(b, 50)
		if g.refreshed() != round+1 {
			t.Fatalf("round %d: %d refreshes so far, want %d", round, g.refreshed(), round+1)
		}
	}
	b.wantIn("ada")
}

// storm fetches the orders n times at once; all must succeed.
func (g *rig) storm(b *browser, n int) {
	g.t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			tab := &browser{rig: g, cookie: b.cookie}
			tab.want(tab.get("/api/orders"), 200, "")
		})
	}
	all.Wait()
}

// The same, when orders refuses a token before its time: who comes late with the
// old one must not start a second refresh.
func TestRefusedTokenIsRenewedOnceForAll(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.change(func() { clear(g.access) })
	g.storm(b, 50)
	if g.refreshed() != 1 {
		t.Errorf("%d refreshes, want 1", g.refreshed())
	}
}

func TestRefusedTokenIsNotShownAgainWhileWaferIsAway(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.change(func() { clear(g.access) })
	g.fail("POST /oauth/token", 503, "busy")
	g.requests()
	b.want(b.get("/api/orders"), 502, "unavailable")
	if asked := g.requests(); !slices.Equal(asked, []string{"GET /orders", "POST /oauth/token"}) {
		t.Errorf("%q was asked", asked)
	}
	g.fail("POST /oauth/token", 0, "")
	b.wantIn("ada")
}

// An upstream that redirects would send the credential to wherever it likes.
func TestRedirectIsNotFollowedWithACredential(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent on with %v", r.URL.Path, r.Header)
	}))
	t.Cleanup(thief.Close)
	rows := map[string]string{"GET /orders": "/api/orders", "GET /session": "/api/me", "POST /session": "/api/sign-in"}
	g.change(func() { g.elsewhere = thief.URL })
	for row, path := range rows {
		g.fail(row, http.StatusTemporaryRedirect, "")
		method, body := "GET", ""
		if path == "/api/sign-in" {
			method, body = "POST", credentials("ada@example.com", password)
		}
		b.want(b.send(b.request(method, path, body)), 502, "unavailable")
		g.fail(row, 0, "")
	}
	b.wantIn("ada")
}

func TestTokenIsRenewedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.forward((life - 31) * time.Second)
	b.wantIn("ada")
	if g.refreshed() != 0 {
		t.Fatalf("renewed with 31 s left")
	}
	g.forward(time.Second)
	b.wantIn("ada")
	if g.refreshed() != 1 {
		t.Fatalf("not renewed with 30 s left")
	}
}

func TestRefreshFailures(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, code  string
		status      int
		early, late int // status for the page with 20 s left, and with none
		stays       bool
	}{
		{"Wafer busy", "busy", 503, 200, 502, true},
		{"no JSON of ours", "", 200, 200, 502, true},
		{"secret was changed", "invalid_client", 401, 200, 502, true},
		{"session has ended", "invalid_grant", 400, 401, 401, false},
		{"role was taken away", "invalid_scope", 400, 403, 403, true},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for left, want := range map[int]int{20: tt.early, 0: tt.late} {
				g := newRig(t)
				b := g.signedIn("ada")
				g.forward(time.Duration(life-left) * time.Second)
				g.fail("POST /oauth/token", tt.status, tt.code)
				if r := b.get("/api/orders"); r.StatusCode != want {
					t.Errorf("%d s left: got %d %s, want %d", left, r.StatusCode, r.text, want)
				}
				g.fail("POST /oauth/token", 0, "")
				if tt.stays {
					b.wantIn("ada")
				} else {
					b.wantIn("")
				}
			}
		})
	}
}

// A tab that is closed in the middle of a refresh must not lose the answer, in
// which the next refresh token is.
func TestRefreshGoesOnWhenTheTabIsClosed(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.forward(life * time.Second)
	held := g.hold()
	ctx, closeTab := withCancel(t)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		tab := &browser{rig: g, cookie: b.cookie}
		tab.send(tab.request("GET", "/api/orders", "").WithContext(ctx))
	}()
	<-held.came
	closeTab()
	<-gone
	close(held.open)
	b.wantIn("ada")
	if g.refreshed() != 1 {
		t.Errorf("%d refreshes, want 1", g.refreshed())
	}
}

// Sign-out while a refresh is under way: what the refresh brings is for nobody.
func TestSignOutBeatsARefreshUnderWay(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	old := b.cookie
	g.forward(life * time.Second)
	held := g.hold()
	done := make(chan int, 1)
	go func() { done <- (&browser{rig: g, cookie: old}).get("/api/orders").StatusCode }()
	<-held.came
	b.want(b.post("/api/sign-out", `{}`), 200, "")
	close(held.open)
	if status := <-done; status != 401 {
		t.Errorf("the request under way got %d, want 401", status)
	}
	(&browser{rig: g, cookie: old}).wantIn("")
	g.change(func() { g.gate = nil })
	g.signedIn("ada")
}

func TestTokenEchoedUpstreamNeverReachesThePage(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.change(func() { g.echo = true })
	b.want(b.get("/api/orders"), 502, "unavailable") // checkHygiene looks for the token
	g.change(func() { g.echo = false })
	b.wantIn("ada")
}

func TestLogHoldsNoCredential(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.signedIn("ada")
	g.change(func() { g.echo = true })
	b.get("/api/orders")
	g.fail("GET /session", 500, "internal")
	b.get("/api/me")
	b.post("/api/sign-in", credentials("ada@example.com", "a guess of mine"))
	b.post("/api/sign-out", `{}`)
	text := g.log.String()
	if !strings.Contains(text, "level=WARN") {
		t.Fatalf("nothing was logged: %s", text)
	}
	for _, secret := range append([]string{password, "a guess of mine", "s&cret"}, g.issued...) {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// One person cannot fill the memory or push others out.
func TestMemoryIsBoundedAndFair(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *app.Config) { c.Most = 18 })
	bob := g.signedIn("bob")
	var ada []*browser
	for range 20 {
		g.forward(time.Second)
		ada = append(ada, g.signedIn("ada"))
	}
	for i, b := range ada {
		g.forward(time.Second)
		if i < 4 {
			b.wantIn("")
		} else {
			b.wantIn("ada")
		}
	}
	bob.wantIn("bob")
	for i := range 2 {
		g.forward(time.Second)
		g.change(func() { g.people[fmt.Sprintf("p%d@example.com", i)] = fmt.Sprintf("usr_p%d", i) })
		g.signedIn(fmt.Sprintf("p%d", i))
	}
	ada[4].wantIn("") // the longest unused of all
	bob.wantIn("bob")
}
