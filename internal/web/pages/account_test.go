package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/verify/bound"
)

func TestLogoutAsksFirstAndEndsTheSessionEverywhere(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	secret := b.cookie(middleware.CookieName)
	page := b.get("/logout")
	if page.status != http.StatusOK || !b.signedIn() {
		t.Fatalf("a GET ended the session: %d", page.status)
	}
	got := b.send(page, "/logout")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/logout" || b.cookie(middleware.CookieName) != "" {
		t.Fatalf("%d to %q", got.status, got.header.Get("Location"))
	}
	if _, _, found, err := g.sessions.Find(t.Context(), secret, bound.Seen{}); err != nil || found {
		t.Errorf("the secret still works: %v", err)
	}
	if got := b.send(page, "/logout"); got.status != http.StatusSeeOther {
		t.Errorf("sent twice: %d, want 303", got.status)
	}
	b.signIn(ada)
	if !b.signedIn() {
		t.Error("cannot sign in again")
	}
}

func TestLogoutReturnsToTheApplicationThatAsked(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	got := b.send(b.get("/logout?client_id=shop-web&return_to=https://shop.example/callback"), "/logout")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "https://shop.example/callback" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
	b.signIn(ada)
	got = b.send(b.get("/logout?client_id=own-app&return_to=https://app.example/bye"), "/logout")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "https://app.example/bye" || b.signedIn() {
		t.Errorf("in the origin of a first-party application: %d to %q", got.status, got.header.Get("Location"))
	}
	b.signIn(ada)
	form := b.get("/logout").form("/logout")
	form.Set("client_id", "own-app")
	form.Set("return_to", "https://app.example.evil.example/")
	if got := b.post("/logout", form); got.status != http.StatusBadRequest || !b.signedIn() {
		t.Errorf("stranger in the form: %d, want 400 and signed in", got.status)
	}
	if got := b.get("/logout?client_id=shop-web&return_to=https://evil.example/"); got.status != http.StatusBadRequest {
		t.Errorf("stranger: %d, want 400", got.status)
	}
}

func TestDeviceIsEndedByItsOwnerOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	phone, desk, stranger := g.browser(), g.browser(), g.browser()
	phone.signIn(ada)
	g.clock.forward(time.Minute)
	desk.signIn(ada)
	stranger.signIn(eve)
	all, err := g.sessions.List(t.Context(), g.users[ada].ID)
	g.must(err)
	id := all[1].ID // the phone: newest first
	if got := stranger.send(stranger.get("/account"), "/account/end", "session", id); got.status != http.StatusSeeOther || !phone.signedIn() {
		t.Fatalf("a stranger: %d, phone signed in: %v", got.status, phone.signedIn())
	}
	if got := desk.send(desk.get("/account"), "/account/end", "session", id); got.header.Get("Location") != "/account?done=ended" || phone.signedIn() {
		t.Fatalf("the owner: %d, phone signed in: %v", got.status, phone.signedIn())
	}
	if !desk.signedIn() || !stranger.signedIn() {
		t.Error("others were signed out too")
	}
	got := desk.send(desk.get("/account"), "/account/end") // the first row is the one that is here
	if got.header.Get("Location") != "/logout" || desk.signedIn() || desk.cookie(middleware.CookieName) != "" {
		t.Errorf("its own: %d to %q", got.status, got.header.Get("Location"))
	}
}

func TestSignOutEverywhereEndsEverySessionOfThePerson(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	phone, desk, stranger := g.browser(), g.browser(), g.browser()
	phone.signIn(ada)
	desk.signIn(ada)
	stranger.signIn(eve)
	p := desk.get("/account")
	if !strings.Contains(p.body, "Ends this sign-in and 1 more") {
		t.Error("the page does not say what would happen")
	}
	if got := desk.send(p, "/account/end-all"); got.status != http.StatusSeeOther {
		t.Fatal(got.status)
	}
	if phone.signedIn() || desk.signedIn() || !stranger.signedIn() {
		t.Errorf("phone %v, desk %v, stranger %v", phone.signedIn(), desk.signedIn(), stranger.signedIn())
	}
}

func TestChangedPasswordEndsOtherSessionsAndRenewsThisOne(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	thief, b := g.browser(), g.browser()
	thief.signIn(ada)
	b.signIn(ada)
	copied := b.cookie(middleware.CookieName)
	for _, c := range []struct {
		name, current, next string
		status              int
		beside              string
	}{
		{"wrong current", "wrong", better, http.StatusForbidden, `id="wrong-current" role="alert"`},
		{"no current", "", better, http.StatusBadRequest, `id="wrong-current" role="alert"`},
		{"common", good, "password", http.StatusBadRequest, `id="wrong-new" role="alert"`},
		{"the same", good, good, http.StatusBadRequest, `id="wrong-new" role="alert"`},
	} {
		got := b.send(b.get("/account"), "/account/change-password", "current", c.current, "new", c.next)
		if got.status != c.status || !strings.Contains(got.body, c.beside) || !thief.signedIn() {
			t.Errorf("%s: %d, want %d with %s", c.name, got.status, c.status, c.beside)
		}
	}
	got := b.send(b.get("/account"), "/account/change-password", "current", good, "new", better)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/account?done=password" {
		t.Fatalf("%d to %q", got.status, got.header.Get("Location"))
	}
	if thief.signedIn() || !b.signedIn() {
		t.Errorf("thief %v, owner %v", thief.signedIn(), b.signedIn())
	}
	if _, _, found, err := g.sessions.Find(t.Context(), copied, bound.Seen{}); err != nil || found {
		t.Errorf("the copied secret still works: %v", err)
	}
	if got := b.get("/account?done=password"); !strings.Contains(got.body, `role="status">Your password is changed.`) {
		t.Error("the page does not say that it is done")
	}
}

func TestPasswordManagersFindTheForm(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	if got := g.browser().get("/.well-known/change-password"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/account#password" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
}

func TestTwoSessionCookiesAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	secret := b.cookie(middleware.CookieName)
	for _, c := range []struct {
		name, cookie string
		status       int
	}{
		{"one", "__Host-Http-wafer=" + secret, http.StatusOK},
		{"two", "__Host-Http-wafer=" + secret + "; __Host-Http-wafer=x", http.StatusBadRequest},
		{"one with a tab in its name", "__Host-Http-wafer\t=" + secret, http.StatusSeeOther},
		{"one again", "__Host-Http-wafer=" + secret, http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/account", nil)
		g.must(err)
		r.Header.Set("Cookie", c.cookie)
		if got := g.browser().do(r); got.status != c.status {
			t.Errorf("%s: %d, want %d", c.name, got.status, c.status)
		}
	}
}

func TestBrokenFormsAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	code := b.get("/login").form("/login").Get("csrf")
	fields := url.Values{"csrf": {code}, "login": {ada}, "password": {good}}
	if got := b.post("/login", fields, "Content-Type", "text/plain"); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("another type: %d, want 415", got.status)
	}
	twice := url.Values{"csrf": {code}, "login": {ada, eve}, "password": {good}}
	if got := b.post("/login", twice); got.status != http.StatusBadRequest || b.signedIn() {
		t.Errorf("two logins: %d, want 400", got.status)
	}
	if got := b.post("/login", fields); got.status != http.StatusSeeOther {
		t.Errorf("whole: %d, want 303", got.status)
	}
}
