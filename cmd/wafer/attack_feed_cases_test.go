package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	orders "github.com/wafer-auth/wafer/examples/orders/app"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/verify"
)

// The cases that are about the server elsewhere, at a service that follows the feed: it
// remembers what it has seen, asks nobody about a token, and is strict.

// followed is a server and such a service.
type followed struct {
	*running
	service *running
}

func newFollowed(t *testing.T, users int) *followed {
	t.Helper()
	dir := t.TempDir()
	const before, after = "{management: [sessions:check], https://inventory", "{management: [sessions:check, feed:read], https://inventory"
	text := strings.Replace(setupFor(t, users), before, after, 1)
	r := serve(t, dir+"/data", append(behindProxy, "--apply", write(t, dir, "setup.yaml", text))...)
	c := orders.Config{
		Issuer: r.url, Audience: ordersAPI, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: clientSecrets,
		Stale: verify.Strict.String(), Logger: slog.New(slog.DiscardHandler),
	}
	var err error
	if c.Feed, err = orders.NewFeed(c); err != nil {
		t.Fatal(err)
	}
	h, err := orders.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var feed sync.WaitGroup
	feed.Go(func() { _ = c.Feed.Run(ctx) }) // it runs once, and until ctx ends
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.Close()
		stop()
		feed.Wait()
	})
	select {
	case <-c.Feed.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("the feed has no lease")
	}
	return &followed{r, &running{t: t, url: s.URL}}
}

// answers is the status of one request; 503, which says that the feed is late on a busy
// machine, is asked again.
func (f *followed) answers(header ...[2]string) int {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		res, err := f.service.fire(get("/orders", header...))
		if err != nil {
			f.t.Fatal(err)
		}
		if res.StatusCode != http.StatusServiceUnavailable || time.Now().After(end) {
			return res.StatusCode
		}
	}
}

// accepts fails unless the service lets the visitor in, with both credentials.
func (f *followed) accepts(when string, v visitor) {
	f.t.Helper()
	for name, h := range map[string][2]string{"cookie": v.in(), "token": bearer(v.access)} {
		if got := f.answers(h); got != http.StatusOK {
			f.t.Errorf("%s: the %s of %s: %d", when, name, v.login, got)
		}
	}
}

// turns waits until the feed has brought it, and the service answers a credential that
// worked with this status.
func (f *followed) turns(what string, want int, header [2]string) {
	f.t.Helper()
	eventually(f.t, what, func() bool { return f.answers(header) == want })
}

// refuses wants everything of a visitor to be refused as soon as the feed has brought it.
func (f *followed) refuses(what string, v visitor) {
	f.t.Helper()
	f.turns(what+": the token is refused", http.StatusUnauthorized, bearer(v.access))
	f.turns(what+": the cookie is refused", http.StatusUnauthorized, v.in())
}

// caughtUp waits until the service has heard of something that is revoked now, and so
// of everything before.
func (f *followed) caughtUp(login, network string) {
	f.t.Helper()
	v := f.visit(login, from(network))
	f.accepts("before the mark", v)
	f.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}})
	f.refuses("the mark", v)
}

// REFRESH-001: a stolen refresh token is used again. What thief and owner got from it
// since, at the service too, ends with the family.
func TestFeedRefresh001ReuseOfAStolenRefreshToken(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 2)
	v, other := f.visit(person(0)), f.visit(person(1))
	two := f.must(http.StatusOK, refreshing(v.refresh))
	three := f.must(http.StatusOK, refreshing(two.str("refresh_token")))
	f.accepts("before", v)
	f.accepts("before", other)
	for _, seen := range []string{two.str("access_token"), three.str("access_token")} {
		if got := f.answers(bearer(seen)); got != http.StatusOK {
			t.Errorf("before: a refreshed token: %d", got)
		}
	}
	unseen := f.must(http.StatusOK, refreshing(three.str("refresh_token"))).str("access_token")
	f.must(http.StatusBadRequest, refreshing(v.refresh))
	f.refuses("after the reuse", v)
	for name, token := range map[string]string{"the second": two.str("access_token"), "the third": three.str("access_token"), "one not seen before": unseen} {
		if got := f.answers(bearer(token)); got != http.StatusUnauthorized {
			t.Errorf("after the reuse, %s: %d", name, got)
		}
	}
	f.accepts("after, somebody else", other)
	f.accepts("after, signed in again", f.visit(person(0)))
}

// REFRESH-005: each event that ends a grant reaches the tokens and cookies that the
// service remembers.
func TestFeedRefresh005CredentialsAfterEachRevokingEvent(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 10)
	other := f.visit(person(9), outside(900))
	f.accepts("before, somebody else", other)
	command := func(args ...string) { mustWafer(t, "", append([]string{"--data", f.data}, args...)...) }
	for i, tc := range []struct {
		name string
		end  func(v visitor)
	}{
		{"banned", func(v visitor) { command("user", "edit", v.login, "--disable") }},
		{"deleted", func(v visitor) { command("user", "remove", v.login) }},
		{"revoked", func(v visitor) { command("revoke", "--user", v.login) }},
		{"password reset", func(v visitor) {
			mustWafer(t, "a new phrase nobody knows yet 7\n", "--data", f.data, "user", "password", v.login, "--password-stdin")
		}},
		{"signed out", func(v visitor) {
			f.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}})
		}},
		{"signed out everywhere", func(v visitor) {
			there := f.visit(v.login, outside(800))
			code := f.pageFormNamed("/account", "/account/end-all", there.in())
			f.must(http.StatusSeeOther, formOf("/account/end-all", fields("csrf", code), there.in(), ownPage))
		}},
	} {
		v := f.visit(person(i), outside(i))
		f.accepts(tc.name+", before", v)
		unseen := f.must(http.StatusOK, swapping(v, ordersAPI)).str("access_token")
		tc.end(v)
		f.refuses(tc.name, v)
		if got := f.answers(bearer(unseen)); got != http.StatusUnauthorized {
			t.Errorf("%s: a token not seen before: %d", tc.name, got)
		}
		f.accepts(tc.name+", somebody else", other)
	}
	// The roles are gone: the token is refused, and the cookie may no longer what it might.
	v := f.visit(person(7), outside(7))
	f.accepts("roles, before", v)
	command("user", "edit", v.login, "--no-roles")
	f.turns("roles: the token is refused", http.StatusUnauthorized, bearer(v.access))
	f.turns("roles: the cookie is forbidden", http.StatusForbidden, v.in())
	command("user", "edit", v.login, "--role", "clerk")
	f.accepts("roles, given back", f.visit(v.login, outside(71)))
	f.accepts("roles, somebody else", other)
	// The client is shut, for everybody.
	command("client", "edit", "shop-web", "--disable")
	f.refuses("client disabled", other)
	command("client", "edit", "shop-web", "--enable")
	f.accepts("client enabled", f.visit(person(9), outside(901)))
	f.refuses("from before the client was disabled", other)
}

// REVOKE-001: what a stranger asks to revoke goes on at the service; what its own
// client revokes ends, and nothing more.
func TestFeedRevoke001TokenOfAnotherClientIsNotRevoked(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 2)
	v := f.visit(person(0))
	f.accepts("before", v)
	for _, who := range []string{ownCredentials, "client_id=watch&client_secret=" + clientSecrets, "client_id=console"} {
		for _, token := range []string{v.access, v.refresh, v.cookie} {
			f.must(http.StatusOK, formOf("/oauth/revoke", who+"&"+fields("token", token)))
		}
	}
	f.caughtUp(person(1), "203.0.113.9")
	f.accepts("after strangers revoked it", v)
	f.must(http.StatusOK, formOf("/oauth/revoke", fields("client_id", "shop-web", "token", v.access)))
	f.turns("its own client revoked it", http.StatusUnauthorized, bearer(v.access))
	if got := f.answers(v.in()); got != http.StatusOK {
		t.Errorf("the cookie, after the token was revoked: %d", got)
	}
	f.accepts("after", f.visit(person(0)))
}

// SESS-002: the password was changed. Whoever is signed in elsewhere is out at the
// service that remembers them, and so is a copy of the cookie from before, remembered or
// not, and the tokens that were made of it.
func TestFeedSess002CredentialsFromBeforeThePasswordChange(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 2)
	v, elsewhere, other := f.visit(person(0)), f.visit(person(0)), f.visit(person(1))
	f.accepts("before", elsewhere)
	f.accepts("before", other)
	f.accepts("before", v) // the service remembers both
	body := map[string]string{"current": attackPhrase, "new": "eight purple bottles on a wall"}
	res := f.must(http.StatusNoContent, jsonOf(http.MethodPost, "/account/password", body, v.in()))
	f.refuses("elsewhere", elsewhere)
	f.refuses("a copy from before", v)
	v.cookie = res.cookieOf(t).Value
	if got := f.answers(v.in()); got != http.StatusOK {
		t.Errorf("after, with the new cookie: %d", got)
	}
	f.accepts("after, somebody else", other)
}

// SESS-009: a cookie that is remembered as one is no bearer token, nor the reverse.
func TestFeedSess009RememberedSessionOutsideItsCookie(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 1)
	v := f.visit(person(0))
	f.accepts("before", v)
	for name, h := range map[string]hit{
		"bearer": get("/orders", bearer(v.cookie)), "query": get("/orders?session=" + v.cookie + "&access_token=" + v.access),
		"own header": get("/orders", [2]string{"X-Session", v.cookie}, [2]string{middleware.CookieName, v.cookie}),
		"session id": get("/orders", cookie(v.sid)), "token as the cookie": get("/orders", cookie(v.access)),
	} {
		if res, err := f.service.fire(h); err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %v %d %s", name, err, res.StatusCode, res.text)
		}
	}
	f.accepts("after", v)
}

// SESS-011: what differs in one character from a remembered credential is another one.
func TestFeedSess011ForgedFormsOfRememberedCredentials(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 1)
	v := f.visit(person(0))
	f.accepts("before", v)
	for _, good := range []string{v.cookie, v.access} {
		as := cookie
		if good == v.access {
			as = bearer
		}
		flipped := []byte(good)
		flipped[len(flipped)/2] ^= 1
		for name, forged := range map[string]string{
			"flipped bit": string(flipped), "truncated": good[:len(good)-1], "appended": good + "A", "padded": good + "=", "other case": strings.ToUpper(good), "doubled": good + good,
		} {
			if res, err := f.service.fire(get("/orders", as(forged))); err != nil || res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %v %d %s", name, err, res.StatusCode, res.text)
			}
		}
	}
	f.accepts("after", v)
}

// SESS-012: of two cookies, one of them remembered, none is taken.
func TestFeedSess012TwoCookiesOfWhichOneIsRemembered(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 2)
	v, evil := f.visit(person(0)), f.visit(person(1))
	f.accepts("before", v)
	f.accepts("before", evil)
	name := middleware.CookieName + "="
	for _, text := range []string{name + evil.cookie + "; " + name + v.cookie, name + v.cookie + "; " + name + evil.cookie, name + v.cookie + "; " + name + v.cookie} {
		if got := f.answers([2]string{"Cookie", text}); got != http.StatusBadRequest {
			t.Errorf("two cookies in one header: %d", got)
		}
	}
	if got := f.answers(v.in(), evil.in()); got != http.StatusBadRequest {
		t.Errorf("two headers: %d", got)
	}
	f.accepts("after", v)
}

// SESS-018: another person signs in in the same browser: the first session ends at
// the service, and no answer is of the wrong one.
func TestFeedSess018UserSwitchInOneBrowser(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, 2)
	first := f.visit(person(0))
	f.accepts("before", first)
	second := f.visit(person(1), first.in())
	f.refuses("the first, after the switch", first)
	for _, h := range [][2]string{second.in(), bearer(second.access)} {
		if res := f.service.must(http.StatusOK, get("/orders", h)); !strings.Contains(res.text, second.user) || strings.Contains(res.text, first.user) {
			t.Errorf("the second is told: %s", res.text)
		}
	}
	f.accepts("after, the second", second)
}
