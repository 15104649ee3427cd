package pages_test

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// device is one that waits for somebody to type its code.
func (g *rig) device(scopes ...string) grant.DeviceStart {
	g.t.Helper()
	c, err := g.admin.Client(g.t.Context(), "tv")
	g.must(err)
	d, err := g.grants.StartDevice(g.t.Context(), c, grant.Ask{API: orders, Scopes: scopes}, netip.MustParseAddr("192.0.2.7"))
	g.must(err)
	return d
}

// polled is what a device is told, "" when it gets tokens.
func (g *rig) polled(d grant.DeviceStart) string {
	g.t.Helper()
	c, err := g.admin.Client(g.t.Context(), "tv")
	g.must(err)
	_, err = g.grants.RedeemDevice(g.t.Context(), c, grant.DevicePoll{Code: d.DeviceCode})
	var refused *grant.Error
	if err != nil && !errors.As(err, &refused) {
		g.t.Fatal(err)
	}
	if refused != nil {
		return refused.Code
	}
	return ""
}

// waits fails unless nobody has decided on the device.
func (g *rig) waits(what string, d grant.DeviceStart) {
	g.t.Helper()
	if got := g.polled(d); got != oidc.AuthorizationPending && got != oidc.SlowDown {
		g.t.Fatalf("%s: the device is told %q", what, got)
	}
}

func TestDeviceIsConnectedByWhoeverTypesItsCode(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	d := g.device("openid", "email")
	login := b.get(strings.TrimPrefix(d.VerificationURIComplete, g.url))
	if to := login.header.Get("Location"); to != "/login?return_to=%2Fdevice%3Fuser_code%3D"+d.UserCode {
		t.Fatalf("nobody is led to %q", to)
	}
	enter := b.follow(b.send(b.follow(login), "/login", "login", ada, "password", good))
	if !strings.Contains(enter.body, `value="`+d.UserCode+`"`) {
		t.Fatalf("the code is not filled in: %s", enter.body)
	}
	g.waits("DEVICE-002: a link that holds the code", d)
	confirm := b.send(enter, "/device", "user_code", strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " ")))
	for _, want := range []string{"Connect this device?", "The &lt;Television&gt;", d.UserCode, "192.0.2.7", "just now", "See your email address"} {
		if !strings.Contains(confirm.body, want) {
			t.Errorf("the page lacks %q: %s", want, confirm.body)
		}
	}
	g.waits("before the decision", d)
	done := b.send(confirm, "/device/decide", "decision", "allow")
	if to := done.header.Get("Location"); done.status != http.StatusSeeOther || to != "/device?done=allowed" {
		t.Fatalf("%d to %q: %s", done.status, to, done.body)
	}
	if got := g.polled(d); got != "" {
		t.Errorf("the device is told %q", got)
	}
	if p := b.get("/account"); strings.Count(p.body, `action="/account/end"`) != 2 || !strings.Contains(p.body, "through The &lt;Television&gt;") {
		t.Errorf("the account does not list the device: %s", p.body)
	}

	denied := g.device("openid")
	got := b.send(b.send(b.get("/device"), "/device", "user_code", denied.UserCode), "/device/decide", "decision", "deny")
	if to := got.header.Get("Location"); to != "/device?done=denied" || g.polled(denied) != oidc.AccessDenied {
		t.Errorf("denied: %d to %q", got.status, to)
	}
}

// DEVICE-002: nothing but a person's own button, after the page was shown, allows.
func TestDeviceNeedsTheConfirmation(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(ada)
	d := g.device("openid")
	allow := url.Values{"user_code": {d.UserCode}, "decision": {"allow"}}
	for what, code := range map[string]string{
		"no form code": "", "the code of the first form": b.get("/device").form("/device").Get("csrf"), "the code of another form": b.get("/logout").form("/logout").Get("csrf"),
	} {
		allow.Set("csrf", code)
		if got := b.post("/device/decide", allow); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", what, got.status)
		}
		g.waits(what, d)
	}
	// A form code of the right form, from the page of another device: this one was
	// never shown.
	other := g.device("openid")
	confirm := b.send(b.get("/device"), "/device", "user_code", other.UserCode)
	allow.Set("csrf", confirm.form("/device/decide").Get("csrf"))
	if got := b.post("/device/decide", allow); got.status != http.StatusBadRequest {
		t.Errorf("never shown: %d", got.status)
	}
	g.waits("never shown", d)
	b.get("/device/decide?user_code=" + d.UserCode + "&decision=allow")
	if got := b.post("/device/decide", url.Values{"csrf": allow["csrf"], "user_code": {other.UserCode}}); got.status != http.StatusBadRequest {
		t.Errorf("neither allow nor deny: %d", got.status)
	}
	if got := b.post("/device/decide", url.Values{"csrf": allow["csrf"], "user_code": {other.UserCode}, "decision": {"allow"}},
		"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("from another site: %d", got.status)
	}
	g.waits("from another site", other)
	if got := b.send(confirm, "/device/decide", "decision", "allow"); got.status != http.StatusSeeOther || g.polled(other) != "" {
		t.Errorf("the honest way: %d %s", got.status, got.body)
	}
}

// DEVICE-003: somebody else in another browser, and somebody else in the same one.
func TestDeviceIsDecidedByTheSessionThatClaimedIt(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b, other := g.browser(), g.browser()
	b.signIn(ada)
	other.signIn(eve)
	d, theirs := g.device("openid"), g.device("openid")
	confirm := b.send(b.get("/device"), "/device", "user_code", d.UserCode)
	own := other.send(other.get("/device"), "/device", "user_code", theirs.UserCode)
	for _, decision := range []string{"allow", "deny"} {
		got := other.send(own, "/device/decide", "user_code", d.UserCode, "decision", decision)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "not known here") {
			t.Errorf("eve says %s: %d", decision, got.status)
		}
		g.waits("eve", d)
	}
	if got := other.send(other.get("/device"), "/device", "user_code", d.UserCode); got.status != http.StatusBadRequest {
		t.Errorf("eve claims what ada claimed: %d", got.status)
	}
	b.send(b.get("/logout"), "/logout")
	b.signIn(eve)
	if got := b.send(confirm, "/device/decide", "decision", "allow"); got.status != http.StatusForbidden {
		t.Errorf("the old page in the new session: %d", got.status)
	}
	fields := b.get("/device").form("/device")
	fields.Set("user_code", d.UserCode)
	if got := b.post("/device", fields); got.status != http.StatusBadRequest {
		t.Errorf("claimed after another sign-in: %d", got.status)
	}
	g.waits("another sign-in", d)
	if got := other.send(own, "/device/decide", "decision", "allow"); got.status != http.StatusSeeOther || g.polled(theirs) != "" {
		t.Errorf("eve and her own device: %d", got.status)
	}
}

// DEVICE-001, DEVICE-008 as people see them.
func TestDeviceFormSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	b.signIn(eve)
	only := g.device("orders:read")
	if got := b.send(b.get("/device"), "/device", "user_code", only.UserCode); got.status != http.StatusForbidden || !strings.Contains(got.body, "may not use this application") {
		t.Errorf("without a role: %d %s", got.status, got.body)
	}
	g.waits("without a role", only)
	fields := b.get("/device").form("/device")
	for i := range 7 {
		fields.Set("user_code", "BCDF-GHJK")
		got := b.post("/device", fields)
		want := http.StatusBadRequest
		if i == 6 {
			want = http.StatusTooManyRequests
		}
		if got.status != want || !strings.Contains(got.body, `value="BCDF-GHJK"`) || want == http.StatusTooManyRequests != (got.header.Get("Retry-After") == "1") {
			t.Fatalf("guess %d: %d %v", i, got.status, got.header)
		}
	}
	d := g.device("openid")
	other := g.browser()
	other.signIn(ada)
	if got := other.send(other.get("/device"), "/device", "user_code", d.UserCode); got.status != http.StatusOK {
		t.Errorf("somebody else meanwhile: %d", got.status)
	}
}

func TestSignInLeadsBackToDevicesOnlyByTheirCodes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for to, want := range map[string]int{
		"/device": 200, "/device?user_code=BCDF-GHJK": 200, "/device?user_code=BCDFGHJK": 400, "/device?user_code=bcdf-ghjk": 400,
		"/device?user_code=BCDF-GHJK&done=allowed": 400, "/device?user_code=": 400, "/device/decide": 400, "/device?done=allowed": 400, "//evil.example/device": 400,
	} {
		if got := g.browser().get("/login?return_to=" + url.QueryEscape(to)); got.status != want {
			t.Errorf("%s: %d, want %d", to, got.status, want)
		}
	}
}
