package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const soon = 50 * time.Millisecond

// Each thing that a token hangs from takes it back, and nobody is asked.
func TestRevokedTokenIsRefusedHere(t *testing.T) {
	for _, c := range []struct {
		name string
		kind revocation.Kind
		id   string
	}{
		{"token", revocation.Token, "t_5Jm2vXq9LhN0pRk7"}, {"session", revocation.Session, "s_8Qw3eRt6YuIo1pAs"}, {"grant", revocation.Grant, "g_1"},
		{"user", revocation.User, "u_01J9ZK3Q8Y"}, {"roles of the user", revocation.Claims, "u_01J9ZK3Q8Y"}, {"client", revocation.Client, "shop-web"},
		{"API", revocation.API, testAPI}, {"key", revocation.SignKey, "key-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inHouse(t, verify.Strict, func(h *house) {
				cached, other := h.token(nil), h.token(object{"jti": "t_2", "sid": "s_2", "sub": "u_2", "grant_id": "g_2", "client_id": "c_2"})
				h.wants("before", h.check(cached), nil)
				h.wants("somebody else before", h.check(other), nil)
				seq := h.log.revoke(c.kind, c.id)
				wait(soon)
				h.wants("remembered", h.check(cached), verify.ErrRevoked)
				h.wants("seen for the first time", h.check(h.token(object{"amr": []string{"x"}})), verify.ErrRevoked)
				if c.kind != revocation.API && c.kind != revocation.SignKey {
					h.wants("somebody else after", h.check(other), nil)
				}
				if !c.kind.Always() { // I11
					h.wants("minted after", h.check(h.token(object{"rsn": seq})), nil)
				}
				if h.questions() != 0 {
					t.Errorf("the server was asked %d times", h.questions())
				}
			})
		})
	}
}

// I10: a remembered token is not better than its key.
func TestRememberedTokenEndsWithItsKey(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		token := h.token(nil)
		h.wants("before", h.check(token), nil)
		h.keys.remove()
		h.wants("after its key was removed", h.check(token), verify.ErrKeyUnknown)
	})
}

func TestRememberedTokenEndsAtItsTime(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		token := h.token(nil)
		h.wants("at first", h.check(token), nil)
		wait(5*time.Minute + 9*time.Second)
		h.wants("within the leeway", h.check(token), nil)
		wait(2 * time.Second)
		h.wants("after", h.check(token), verify.ErrExpired)
	})
}

// I6: a feed that is cut accepts nothing past the lease under strict.
func TestCutFeedUnderEachPolicy(t *testing.T) {
	for _, c := range []struct {
		stale        verify.Policy
		up, down     error // with and without a server
		upNew, fresh error
	}{
		{verify.Strict, verify.ErrStale, verify.ErrStale, verify.ErrStale, nil},
		{verify.Degrade, nil, verify.ErrUnavailable, nil, nil},
		{verify.Open, nil, nil, nil, nil},
	} {
		t.Run(c.stale.String(), func(t *testing.T) {
			inHouse(t, c.stale, func(h *house) {
				token := h.token(nil)
				h.answers(activeToken(h))
				h.wants("fresh", h.check(token), nil)
				h.log.cut(true)
				wait(1700 * time.Millisecond)
				h.wants("within the lease", h.check(token), nil)
				if h.questions() != 0 {
					t.Error("the server was asked though the lease runs")
				}
				wait(310 * time.Millisecond)
				h.wants("past the lease", h.check(token), c.up)
				h.wants("past the lease, a new token", h.check(h.token(object{"amr": []string{"x"}})), c.upNew)
				h.answers("")
				h.wants("past the lease, without a server", h.check(token), c.down)
				h.log.cut(false)
				wait(6 * time.Second)
				h.wants("the feed is back", h.check(token), c.fresh)
			})
		})
	}
}

func activeToken(h *house) string {
	claims := goodClaims(time.Now())
	claims["active"], claims["token_type"] = true, "Bearer"
	return text(h, claims)
}

func text(h *house, o object) string {
	b, err := json.Marshal(o)
	h.must(err)
	return string(b)
}

// session is the server's answer about a cookie, as of a position of the log.
func activeSession(h *house, rsn int64, scope string) string {
	now := time.Now()
	return text(h, object{
		"active": true, "token_type": "session", "iss": testIssuer, "aud": testAPI, "sub": "u_1", "sid": "s_1", "client_id": "shop-web", "scope": scope,
		"iat": now.Unix(), "exp": now.Add(8 * time.Hour).Unix(), "rsn": rsn, "idle": 3600, "touch": 60,
	})
}

func TestKnownCookieIsCheckedHere(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		h.answers(activeSession(h, 0, "orders:read"))
		h.wants("first", h.cookie(), nil)
		h.answers("") // the server is down
		for range 20 {
			h.wants("known, without a server", h.cookie(), nil)
		}
		if h.questions() != 1 {
			t.Errorf("%d questions, want 1", h.questions())
		}
		_, err := h.v.Session(h.Context(), "another")
		h.wants("unknown, without a server", err, verify.ErrUnavailable)
		h.log.revoke(revocation.User, "u_1")
		wait(soon)
		h.wants("banned, without a server", h.cookie(), verify.ErrUnavailable)
		h.answers(`{"active":false}`)
		h.wants("banned", h.cookie(), verify.ErrRevoked)
	})
}

func TestChangedRolesReachAKnownCookie(t *testing.T) {
	inHouse(t, verify.Degrade, func(h *house) {
		h.answers(activeSession(h, 0, "orders:read orders:write"))
		id, err := h.v.Session(h.Context(), "cookie")
		h.must(err)
		if !id.HasScope("orders:write") {
			t.Fatal("no scope at first")
		}
		seq := h.log.revoke(revocation.Claims, "u_1")
		h.answers(activeSession(h, seq, "orders:read"))
		wait(soon)
		id, err = h.v.Session(h.Context(), "cookie")
		h.must(err)
		if id.HasScope("orders:write") {
			t.Error("the old scope is still there")
		}
	})
}

// The row was read, then the entry came: an answer from before the entry that covers
// it is not gone by.
func TestStaleAnswerIsNotRemembered(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		h.log.revoke(revocation.Session, "s_1")
		wait(soon)
		h.answers(activeSession(h, 0, "orders:read"))
		h.wants("answer from before the entry", h.cookie(), verify.ErrRevoked)
		h.answers(activeSession(h, 1, "orders:read"))
		h.wants("answer from after the entry", h.cookie(), nil)
	})
}

func TestKnownCookieIsAskedAboutNowAndThen(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		h.answers(activeSession(h, 0, "orders:read"))
		for range 31 { // minutes
			h.wants("in use", h.cookie(), nil)
			wait(time.Minute)
		}
		if got := h.questions(); got != 3 {
			t.Errorf("%d questions in 31 minutes, want 3", got)
		}
	})
}

// A token of one kind is not remembered as another.
func TestRememberedCookieIsNoBearerToken(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		h.answers(activeSession(h, 0, "orders:read"))
		h.wants("as a cookie", h.cookie(), nil)
		h.wants("as a bearer token", h.check("cookie"), verify.ErrType)
	})
}

func TestStreamEndsWithItsCredential(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(h *house)
		want error
	}{
		"ban":              {func(h *house) { h.log.revoke(revocation.User, "u_01J9ZK3Q8Y"); wait(soon) }, verify.ErrRevoked},
		"logout":           {func(h *house) { h.log.revoke(revocation.Session, "s_8Qw3eRt6YuIo1pAs"); wait(soon) }, verify.ErrRevoked},
		"expiry":           {func(*house) { wait(5*time.Minute + 11*time.Second) }, verify.ErrExpired},
		"end of the lease": {func(h *house) { h.log.cut(true); wait(2200 * time.Millisecond) }, verify.ErrStale},
		"somebody else":    {func(h *house) { h.log.revoke(revocation.User, "u_2"); wait(time.Minute) }, nil},
		"a short cut":      {func(h *house) { h.log.cut(true); wait(time.Second); h.log.cut(false); wait(time.Minute) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, verify.Strict, func(h *house) {
				id, err := h.v.Token(h.Context(), h.token(nil))
				h.must(err)
				ctx, stop := h.v.Follow(h.Context(), id)
				defer stop()
				if ctx.Err() != nil {
					t.Fatal("it ended at once")
				}
				c.do(h)
				if got := context.Cause(ctx); !errors.Is(got, c.want) || c.want == nil && got != nil {
					t.Errorf("got %v, want %v", got, c.want)
				}
				stop()
				if ctx.Err() == nil {
					t.Error("stop did not end it")
				}
			})
		})
	}
}

func TestUnderAnotherPolicy(t *testing.T) {
	inHouse(t, verify.Open, func(h *house) {
		strict, token := h.v.Under(verify.Strict), h.token(nil)
		h.wants("open", h.check(token), nil)
		h.log.cut(true)
		wait(3 * time.Second)
		h.wants("open, cut off", h.check(token), nil)
		_, err := strict.Token(h.Context(), token)
		h.wants("strict, cut off", err, verify.ErrStale)
		if s := h.v.Stats(); s.Accepted != 1 || s.Stale != 1 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestRememberedCredentialAllocatesNothing(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		token, ctx := h.token(nil), h.Context()
		h.wants("first", h.check(token), nil)
		if got := testing.AllocsPerRun(100, func() {
			if _, err := h.v.Token(ctx, token); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%v allocations", got)
		}
	})
}

// An open stream is use of its session: nobody is signed out while they watch.
func TestOpenStreamKeepsItsSessionInUse(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		h.answers(activeSession(h, 0, "orders:read"))
		id, err := h.v.Session(h.Context(), "cookie")
		h.must(err)
		_, stop := h.v.Follow(h.Context(), id)
		wait(3*time.Minute + 30*time.Second)
		if got := h.log.used(); len(got) != 3 || got[0] != "s_1" {
			t.Errorf("told of %v, want s_1 three times", got)
		}
		stop()
		wait(5 * time.Minute)
		if got := h.log.used(); len(got) != 3 {
			t.Errorf("told of %d uses after the stream had ended", len(got))
		}
	})
}

// What was remembered under another secret of the feed is verified anew, and not
// refused until it expires.
func TestRememberedTokenOutlivesTheFeedsSecret(t *testing.T) {
	inHouse(t, verify.Strict, func(h *house) {
		token := h.token(nil)
		h.wants("before", h.check(token), nil)
		h.log.rekey()
		wait(3 * time.Second)
		h.wants("after", h.check(token), nil)
		h.log.revoke(revocation.User, "u_01J9ZK3Q8Y")
		wait(soon)
		h.wants("revoked under the new secret", h.check(token), verify.ErrRevoked)
	})
}
