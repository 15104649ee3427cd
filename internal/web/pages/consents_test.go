package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
)

// allow signs ada in at rp, and allows it what it asks for.
func (b *browser) allow(scopes string) grant.Tokens {
	b.g.t.Helper()
	consent := b.follow(b.get(link("scope", scopes)))
	got := b.send(consent, "/oauth/consent", "decision", "allow")
	tokens, err := b.g.exchange(got.back(b.g.t, rpBack).Get("code"))
	b.g.must(err)
	return tokens
}

func (g *rig) known(id string) client.Client {
	g.t.Helper()
	c, err := g.admin.Client(g.t.Context(), id)
	g.must(err)
	return c
}

// good reports whether an access token is, at the server itself.
func (g *rig) good(tokens grant.Tokens) bool {
	_, err := g.grants.Userinfo(g.t.Context(), grant.Shown{Token: tokens.AccessToken, Scheme: "Bearer"})
	return err == nil
}

func TestTakingBackAccessEndsWhatTheApplicationHas(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b, other, eves := g.browser(), g.browser(), g.browser()
	b.signIn(ada)
	if p := b.get("/account"); strings.Contains(p.body, "Applications with access") {
		t.Error("a list of nothing")
	}
	tokens := b.allow("openid email orders:read")
	other.signIn(ada)
	elsewhere := other.tokens("rp")
	eves.signIn(eve)
	hers := eves.tokens("rp")
	g.clock.forward(2 * time.Minute)
	p := b.get("/account")
	for _, want := range []string{"Applications with access", "Rita&#39;s &lt;Planner&gt;", "2 minutes ago", "See your email address", "Act for you at Orders <code>orders:read</code>"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the account lacks %q: %s", want, p.body)
		}
	}
	if strings.Contains(p.body, "Pocket Planner") {
		t.Error("an application is listed that was never allowed anything")
	}
	native := b.tokens("native")
	if !g.good(tokens) || !g.good(elsewhere) {
		t.Fatal("the tokens are no good to begin with")
	}
	if got := b.send(p, "/account/withdraw", "csrf", p.form("/account/end").Get("csrf")); got.status != http.StatusForbidden || !g.good(tokens) {
		t.Errorf("with the code of another form: %d", got.status)
	}
	if got := eves.post("/account/withdraw", p.form("/account/withdraw")); got.status != http.StatusForbidden || !g.good(tokens) {
		t.Errorf("by somebody else: %d", got.status)
	}
	done := b.send(p, "/account/withdraw")
	if to := done.header.Get("Location"); done.status != http.StatusSeeOther || to != "/account?done=withdrawn" {
		t.Fatalf("%d to %q", done.status, to)
	}
	for name, tok := range map[string]grant.Tokens{"this session": tokens, "another session of hers": elsewhere} {
		if g.good(tok) {
			t.Errorf("%s: the access token lives", name)
		}
		if _, err := g.grants.Refresh(t.Context(), g.known("rp"), grant.RefreshAsk{Token: tok.RefreshToken}); err == nil {
			t.Errorf("%s: the refresh token lives", name)
		}
	}
	if !g.good(hers) || !g.good(native) || !b.signedIn() || !other.signedIn() {
		t.Error("more was taken back than the application's")
	}
	if p := b.get("/account?done=withdrawn"); strings.Contains(p.body, "Rita") || !strings.Contains(p.body, "The access is taken back.") {
		t.Errorf("it is still listed: %s", p.body)
	}
	if again := b.allow("openid"); !g.good(again) { // allow sees the consent page, or fails
		t.Error("it cannot be allowed again")
	}
	if got := b.post("/account/withdraw", p.form("/account/withdraw")); got.status != http.StatusSeeOther {
		t.Errorf("sent twice: %d", got.status)
	}
}

// A device has a session of its own: taking back its access ends that too.
func TestTakingBackAccessEndsTheSessionsOfDevices(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	d := g.device("openid")
	b.send(b.send(b.get("/device"), "/device", "user_code", d.UserCode), "/device/decide", "decision", "allow")
	tokens, err := g.grants.RedeemDevice(t.Context(), g.known("tv"), grant.DevicePoll{Code: d.DeviceCode})
	g.must(err)
	p := b.get("/account")
	if !g.good(tokens) || !strings.Contains(p.body, "through The &lt;Television&gt;") {
		t.Fatalf("the device is not there: %s", p.body)
	}
	b.send(p, "/account/withdraw")
	if p = b.get("/account"); p.status != http.StatusOK || strings.Contains(p.body, "Television") || g.good(tokens) {
		t.Errorf("the device lives on: %s", p.body)
	}
}
