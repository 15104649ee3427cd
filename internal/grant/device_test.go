package grant_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/bound"
)

// deviceHouse is a house with clients that have no browser.
func deviceHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	both := []string{client.DeviceCode, client.RefreshToken}
	apis := map[string][]string{orders: {"orders:read"}, vault: {"vault:open"}}
	for _, c := range []client.Client{
		{ID: "tv", Kind: client.Public, Grants: both, APIs: apis},
		{ID: "tv2", Kind: client.Public, Grants: both, APIs: apis},
		{ID: "box", Kind: client.Public, Grants: both[:1], APIs: map[string][]string{orders: {"orders:read"}}},
		{ID: "no-device", Kind: client.Public, Grants: both[1:], APIs: apis},
	} {
		must(t, h.store.AddClient(t.Context(), c, revoke.Effects{}))
	}
	return h
}

func (h *house) start(clientID string, scopes ...string) grant.DeviceStart {
	h.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{"openid", "orders:read"}
	}
	d, err := h.StartDevice(h.t.Context(), h.client(clientID), grant.Ask{API: orders, Scopes: scopes}, netip.MustParseAddr("192.0.2.7"))
	must(h.t, err)
	return d
}

func (h *house) poll(clientID, code string) (grant.Tokens, error) {
	h.t.Helper()
	return h.RedeemDevice(context.WithoutCancel(h.t.Context()), h.client(clientID), grant.DevicePoll{Code: code, Seen: bound.Seen{Agent: "A television"}})
}

func (h *house) wantPoll(what, clientID, code, want string) {
	h.t.Helper()
	_, err := h.poll(clientID, code)
	wantRefusal(h.t, what, err, want)
}

func (h *house) claim(code string, s session.Session) (grant.DeviceRequest, error) {
	h.t.Helper()
	return h.ClaimDevice(h.t.Context(), grant.DeviceClaim{Code: code, Session: s, Address: netip.MustParseAddr("198.51.100.1")})
}

// allowed is a device that ada allowed in a session of hers.
func (h *house) allowed(clientID string, scopes ...string) (grant.DeviceStart, session.Session) {
	h.t.Helper()
	d, s := h.start(clientID, scopes...), h.login()
	_, err := h.claim(d.UserCode, s)
	must(h.t, err)
	must(h.t, h.AllowDevice(h.t.Context(), d.UserCode, s))
	return d, s
}

func TestDeviceIsAllowedByAPersonElsewhere(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d := h.start("tv")
	if !regexp.MustCompile(`^wdc_[A-Za-z0-9_-]{43}$`).MatchString(d.DeviceCode) || !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(d.UserCode) ||
		d.VerificationURI != issuer+"/device" || d.VerificationURIComplete != issuer+"/device?user_code="+d.UserCode || d.ExpiresIn != 600 || d.Interval != 5 {
		t.Fatalf("the device got %+v", d)
	}
	s := h.login()
	h.clock.forward(time.Minute)
	asks, err := h.claim(strings.ToLower(d.UserCode[:4])+" \u2013 "+d.UserCode[5:], s)
	must(t, err)
	if asks.Client.ID != "tv" || asks.UserCode != d.UserCode || asks.Address != "192.0.2.7" || asks.API != orders || !slices.Equal(asks.Scopes, []string{"openid", "orders:read"}) {
		t.Fatalf("the person sees %+v", asks)
	}
	h.wantPoll("before the decision", "tv", d.DeviceCode, oidc.AuthorizationPending)
	must(t, h.AllowDevice(t.Context(), d.UserCode, s))
	tok, err := h.poll("tv", d.DeviceCode)
	must(t, err)
	h.wantActive(tok.AccessToken, true)
	claims, id := claimsOf(t, tok.AccessToken), claimsOf(t, tok.IDToken)
	if claims["sub"] != h.ada.ID || claims["client_id"] != "tv" || claims["scope"] != "openid orders:read" || claims["sid"] == s.ID || id["sid"] != claims["sid"] {
		t.Errorf("tokens say %v and %v", claims, id)
	}
	if claims["auth_time"] != float64(s.AuthTime.Unix()) {
		t.Errorf("auth_time is %v: nobody proved anything to the device", claims["auth_time"])
	}
	again, err := h.Refresh(t.Context(), h.client("tv"), grant.RefreshAsk{Token: tok.RefreshToken})
	must(t, err)
	// The device's session is a login of its own, and lives on without the other.
	_, err = h.sessions.End(t.Context(), session.EndOne{ID: s.ID, Actor: "test", Reason: "logout"})
	must(t, err)
	h.wantActive(again.AccessToken, true)
	given, found, err := h.store.ConsentFor(t.Context(), h.ada.ID, "tv", orders)
	must(t, err)
	if !found || !given.Covers([]string{"openid", "orders:read"}) {
		t.Errorf("the consent is %+v", given)
	}
}

func TestDeviceWithoutRefreshTokensHasNone(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d, _ := h.allowed("box")
	tok, err := h.poll("box", d.DeviceCode)
	must(t, err)
	if tok.RefreshToken != "" || tok.AccessToken == "" {
		t.Errorf("tokens are %+v", tok)
	}
}

func TestUserCodesAreFolded(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"BCDF-GHJK": "BCDFGHJK", "bcdfghjk": "BCDFGHJK", " b c d f g h j k\t": "BCDFGHJK", "BCDF\u2014GHJK": "BCDFGHJK",
		"": "", "BCDF-GHJ": "", "BCDF-GHJKL": "", "BCDF-GHJA": "", "BCDF-GHJ1": "", "BCDF_GHJK": "", "BCDF-GHJ\u212a": "",
		"BCDFGHJK" + strings.Repeat(" ", 100): "",
	} {
		got, ok := grant.FoldUserCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v, want %q", typed, got, ok, want)
		}
	}
	seen := map[rune]bool{}
	h := deviceHouse(t)
	for range 60 {
		for _, r := range h.start("tv").UserCode {
			seen[r] = true
		}
	}
	if len(seen) != 21 { // the alphabet and the dash
		t.Errorf("%d letters in use", len(seen))
	}
}

// DEVICE-004
func TestDevicePollingFasterIsSlowedDownForGood(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d := h.start("tv")
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, oidc.AuthorizationPending}, {5 * time.Second, oidc.AuthorizationPending}, {4 * time.Second, oidc.SlowDown}, // now 10 s
		{9 * time.Second, oidc.SlowDown}, {15 * time.Second, oidc.AuthorizationPending}, {15 * time.Second, oidc.AuthorizationPending},
		{14 * time.Second, oidc.SlowDown}, {20 * time.Second, oidc.AuthorizationPending},
	} {
		h.clock.forward(step.after)
		h.wantPoll(fmt.Sprint("after ", step.after), "tv", d.DeviceCode, step.want)
	}
	s := h.login()
	_, err := h.claim(d.UserCode, s)
	must(t, err)
	must(t, h.AllowDevice(t.Context(), d.UserCode, s))
	_, err = h.poll("tv", d.DeviceCode)
	must(t, err)
	h.wantPoll("redeemed twice", "tv", d.DeviceCode, grant.InvalidGrant)
}

// DEVICE-004
func TestDeviceCodeOfAnotherClientDeniedOrExpired(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d, _ := h.allowed("tv")
	h.wantPoll("another client", "tv2", d.DeviceCode, grant.InvalidGrant)
	h.wantPoll("made up", "tv", "wdc_"+strings.Repeat("A", 43), grant.InvalidGrant)
	for _, junk := range []string{"", "wdc_", d.UserCode, d.DeviceCode + "A", strings.TrimPrefix(d.DeviceCode, "wdc_"), strings.ToUpper(d.DeviceCode)} {
		h.wantPoll("junk "+junk, "tv", junk, grant.InvalidGrant)
	}
	if _, err := h.poll("tv", d.DeviceCode); err != nil {
		t.Errorf("its own client afterwards: %v", err)
	}

	denied, s := h.start("tv"), h.login()
	_, err := h.claim(denied.UserCode, s)
	must(t, err)
	must(t, h.DenyDevice(t.Context(), denied.UserCode, s))
	for range 3 {
		h.wantPoll("denied", "tv", denied.DeviceCode, oidc.AccessDenied)
	}
	if err := h.AllowDevice(t.Context(), denied.UserCode, s); err == nil {
		t.Error("allowed after it was denied")
	}

	late, _ := h.allowed("tv")
	pending := h.start("tv")
	h.clock.forward(grant.DeviceFor - time.Second)
	h.wantPoll("in the last second", "tv", pending.DeviceCode, oidc.AuthorizationPending)
	h.clock.forward(time.Second)
	h.wantPoll("expired", "tv", pending.DeviceCode, oidc.ExpiredToken)
	h.wantPoll("allowed and never fetched", "tv", late.DeviceCode, oidc.ExpiredToken)
}

// DEVICE-004: 50 polls at the moment of the approval.
func TestDeviceRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d, _ := h.allowed("tv")
	before, err := h.sessions.List(t.Context(), h.ada.ID)
	must(t, err)
	tv := h.client("tv")
	var mu sync.Mutex
	var won int
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := h.RedeemDevice(context.WithoutCancel(t.Context()), tv, grant.DevicePoll{Code: d.DeviceCode})
			mu.Lock()
			defer mu.Unlock()
			var refused *grant.Error
			switch {
			case err == nil:
				won++
			case !errors.As(err, &refused) || refused.Code != grant.InvalidGrant:
				t.Errorf("a loser got %v", err)
			}
		})
	}
	wg.Wait()
	after, err := h.sessions.List(t.Context(), h.ada.ID)
	must(t, err)
	if won != 1 || len(after) != len(before)+1 {
		t.Errorf("%d polls won, %d sessions began", won, len(after)-len(before))
	}
}

// DEVICE-001: 2,000 guesses from one session; from many sessions and networks; and
// no difference between what never was and what is not good any more.
func TestUserCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d := h.start("tv")
	guess := func(i int) string {
		const letters = "BCDFGHJKLMNPQRSTVWXZ"
		code := []byte("BBBBBBBB")
		for p := 7; i > 0; p, i = p-1, i/20 {
			code[p] = letters[i%20]
		}
		return string(code)
	}
	tries := func(n int, who func(i int) grant.DeviceClaim) (looked int) {
		t.Helper()
		for i := range n {
			in := who(i)
			in.Code = guess(i)
			_, err := h.ClaimDevice(t.Context(), in)
			switch {
			case fault.Is(err, fault.Invalid):
				looked++
			case !fault.Is(err, fault.TooMany):
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		return looked
	}
	one := h.login()
	if n := tries(2000, func(int) grant.DeviceClaim { return grant.DeviceClaim{Session: one} }); n > 6 {
		t.Errorf("one session: %d guesses were looked up", n)
	}
	h.clock.forward(time.Second) // what others do costs nobody more than a second
	honest := h.login()
	if _, err := h.ClaimDevice(t.Context(), grant.DeviceClaim{Code: d.UserCode, Session: honest, Address: netip.MustParseAddr("203.0.113.9")}); err != nil {
		t.Errorf("an honest person meanwhile: %v", err)
	}
	if n := tries(2000, func(i int) grant.DeviceClaim {
		return grant.DeviceClaim{Session: session.Session{ID: fmt.Sprint("ses_", i)}, Address: netip.MustParseAddr("198.51.100.1")}
	}); n > 21 {
		t.Errorf("one network: %d guesses were looked up", n)
	}
	if n := tries(2000, func(i int) grant.DeviceClaim {
		return grant.DeviceClaim{Session: session.Session{ID: fmt.Sprint("bot_", i)}, Address: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})}
	}); n > 201 {
		t.Errorf("everybody together: %d guesses were looked up", n)
	}
	h.clock.forward(time.Second)
	if _, err := h.ClaimDevice(t.Context(), grant.DeviceClaim{Code: d.UserCode, Session: honest, Address: netip.MustParseAddr("203.0.113.9")}); err != nil {
		t.Errorf("an honest person after a second: %v", err)
	}
}

// DEVICE-001: no oracle. DEVICE-003: only the session that claimed a code decides.
func TestUserCodeOfAnotherSessionExpiredOrUnknownIsOneAnswer(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d, mine, theirs := h.start("tv"), h.login(), h.login()
	_, err := h.claim(d.UserCode, mine)
	must(t, err)
	_, unknown := h.claim("BCDF-GHJK", theirs)
	_, taken := h.claim(d.UserCode, theirs)
	allow, deny := h.AllowDevice(t.Context(), d.UserCode, theirs), h.DenyDevice(t.Context(), d.UserCode, theirs)
	_, err = h.claim(d.UserCode, mine) // a reload
	must(t, err)
	h.wantPoll("nobody decided", "tv", d.DeviceCode, oidc.AuthorizationPending)
	must(t, h.AllowDevice(t.Context(), d.UserCode, mine))
	_, decided := h.claim(d.UserCode, mine)
	twice := h.AllowDevice(t.Context(), d.UserCode, mine)
	late, unclaimed := h.start("tv"), h.start("tv")
	_, err = h.claim(late.UserCode, mine)
	must(t, err)
	early := h.AllowDevice(t.Context(), unclaimed.UserCode, mine)
	h.clock.forward(grant.DeviceFor)
	_, expired := h.claim(unclaimed.UserCode, mine)
	after := h.AllowDevice(t.Context(), late.UserCode, mine)
	for what, err := range map[string]error{
		"claimed by another": taken, "allowed by another": allow, "denied by another": deny, "decided": decided, "allowed twice": twice,
		"allowed without being claimed": early, "expired": expired, "allowed after its time": after,
	} {
		if err == nil || err.Error() != unknown.Error() {
			t.Errorf("%s: %v, and unknown is %v", what, err, unknown)
		}
	}
}

// DEVICE-006
func TestDeviceGrantMustBeRegistered(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	h.start("tv")
	_, err := h.StartDevice(t.Context(), h.client("no-device"), grant.Ask{API: orders}, netip.Addr{})
	wantRefusal(t, "without the grant type", err, grant.UnauthorizedClient)
	h.wantPoll("without the grant type", "no-device", h.start("tv").DeviceCode, grant.UnauthorizedClient)
	for what, c := range map[string]struct {
		ask  grant.Ask
		code string
	}{
		"a scope it is not registered for": {grant.Ask{API: orders, Scopes: []string{"orders:write"}}, grant.InvalidScope},
		"management":                       {grant.Ask{API: api.Management, Scopes: []string{"users:write"}}, grant.InvalidTarget},
		"an API it is not registered for":  {grant.Ask{API: notes}, grant.InvalidTarget},
		"no API of several":                {grant.Ask{Scopes: []string{"orders:read"}}, grant.InvalidTarget},
	} {
		_, err := h.StartDevice(t.Context(), h.client("tv"), c.ask, netip.Addr{})
		wantRefusal(t, what, err, c.code)
	}
	_, err = h.StartDevice(t.Context(), h.client("tv"), grant.Ask{Scopes: []string{"openid", "email"}}, netip.Addr{})
	must(t, err)
}

// DEVICE-005, DEVICE-008: what changes between the decision and the poll.
func TestWhatChangedMeanwhileRefusesTheDevice(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(h *house, s session.Session){
		"user disabled": func(h *house, _ session.Session) { h.changeUser(func(u *account.User) { u.Disabled = true }) },
		"user banned": func(h *house, _ session.Session) {
			h.record(revoke.New(revoke.User, h.ada.ID, "ban", h.clock.now()))
		},
		"roles taken": func(h *house, _ session.Session) { h.changeUser(func(u *account.User) { u.Roles = nil }) },
		"sign-in ended": func(h *house, s session.Session) {
			_, err := h.sessions.End(h.t.Context(), session.EndOne{ID: s.ID, Actor: "test", Reason: "logout"})
			must(h.t, err)
		},
		"scope taken from the client": func(h *house, _ session.Session) {
			h.changeClient("tv", func(c *client.Client) { c.APIs = map[string][]string{orders: {"orders:write"}} })
		},
		"API taken from the client": func(h *house, _ session.Session) { h.changeClient("tv", func(c *client.Client) { c.APIs = nil }) },
		"client revoked":            func(h *house, _ session.Session) { h.record(revoke.New(revoke.Client, "tv", "leak", h.clock.now())) },
		"API revoked":               func(h *house, _ session.Session) { h.record(revoke.New(revoke.API, orders, "leak", h.clock.now())) },
		"consent withdrawn": func(h *house, _ session.Session) {
			_, err := h.store.WithdrawConsent(h.t.Context(), h.ada.ID, "tv", func([]string) revoke.Effects { return revoke.Effects{} })
			must(h.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := deviceHouse(t)
			honest, _ := h.allowed("tv", "orders:read")
			if _, err := h.poll("tv", honest.DeviceCode); err != nil {
				t.Fatal(err)
			}
			d, s := h.allowed("tv", "orders:read")
			tv := h.client("tv")
			change(h, s)
			_, err := h.RedeemDevice(t.Context(), tv, grant.DevicePoll{Code: d.DeviceCode})
			wantRefusal(t, name, err, oidc.AccessDenied)
		})
	}
}

// DEVICE-008: who may use nothing of the API cannot allow it; who may, can still.
func TestDeviceCannotBeAllowedByWhoMayNotUseIt(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	d := h.start("tv")
	only := h.start("tv", "orders:read")
	eve := account.User{ID: "usr_00000000000000000000000eve", Login: "eve@example.com", Canonical: "eve@example.com", CreatedAt: h.clock.now()}
	must(t, h.store.AddUser(t.Context(), eve, revoke.Effects{}))
	hers, _, err := h.sessions.Start(t.Context(), session.Login{UserID: eve.ID, AMR: []string{"pwd"}})
	must(t, err)
	if _, err := h.claim(only.UserCode, hers); !fault.Is(err, fault.Forbidden) {
		t.Errorf("claimed without a role: %v", err)
	}
	if err := h.AllowDevice(t.Context(), only.UserCode, hers); err == nil {
		t.Error("allowed without a role")
	}
	for _, code := range []string{only.UserCode, d.UserCode} {
		if _, err := h.claim(code, h.login()); err != nil {
			t.Errorf("somebody who may: %v", err)
		}
	}
}

// A device that proved a key when it began must prove it when it ends.
func TestDeviceCodeIsBoundToTheKeyOfItsStart(t *testing.T) {
	t.Parallel()
	h := deviceHouse(t)
	key := grant.Proof{JKT: "key-a"}
	d, err := h.StartDevice(t.Context(), h.client("tv"), grant.Ask{API: orders, Scopes: []string{"orders:read"}, Proof: key}, netip.Addr{})
	must(t, err)
	s := h.login()
	_, err = h.claim(d.UserCode, s)
	must(t, err)
	must(t, h.AllowDevice(t.Context(), d.UserCode, s))
	for name, p := range map[string]grant.Proof{"no key": {}, "another key": {JKT: "key-b"}} {
		_, err := h.RedeemDevice(t.Context(), h.client("tv"), grant.DevicePoll{Code: d.DeviceCode, Proof: p})
		wantRefusal(t, name, err, grant.InvalidGrant)
	}
	tok, err := h.RedeemDevice(t.Context(), h.client("tv"), grant.DevicePoll{Code: d.DeviceCode, Proof: key})
	must(t, err)
	_, err = h.Refresh(t.Context(), h.client("tv"), grant.RefreshAsk{Token: tok.RefreshToken})
	wantRefusal(t, "refresh without the key", err, grant.InvalidGrant)
	_, err = h.Refresh(t.Context(), h.client("tv"), grant.RefreshAsk{Token: tok.RefreshToken, Proof: key})
	must(t, err)
}
