package verify

import (
	"context"
	"errors"
	"strings"
	"time"
)

// askAgain is how long the server's answer about a session or an opaque token is
// gone by at most, however true the feed keeps it.
const askAgain = 15 * time.Minute

// Session verifies the value of the cookie called CookieName. It needs a Server:
// that is asked when a session is seen for the first time, and from time to time;
// without one every session is refused with ErrType.
func (v *Verifier) Session(ctx context.Context, cookie string) (*Identity, error) {
	if cookie == "" {
		return nil, ErrNoCredential
	}
	if v.server == nil {
		return nil, ErrType
	}
	if len(cookie) > maxOpaque {
		return nil, ErrTooLarge
	}
	return v.answered(ctx, Session, question{token: cookie, hint: "session", api: v.audience})
}

// opaque verifies an access token that only the server can read.
func (v *Verifier) opaque(ctx context.Context, token string, q question) (*Identity, error) {
	if len(token) > maxOpaque {
		return nil, ErrTooLarge
	}
	q.token, q.hint = token, "access_token"
	if !q.once {
		return v.answered(ctx, Opaque, q)
	}
	// Asked first without using it up: what it is bound to must be proved before.
	h, err := v.remote(ctx, Opaque, question{token: token, hint: q.hint, api: q.api})
	if err == nil {
		err = q.prove(h.id.Confirm)
	}
	if err == nil {
		h, err = v.remote(ctx, Opaque, q)
	}
	if err != nil {
		return nil, err
	}
	return &h.id, nil
}

// answered goes by what the server said of a credential before, as long as the feed
// keeps that true, and asks it else.
func (v *Verifier) answered(ctx context.Context, kind Kind, q question) (*Identity, error) {
	now, hash := v.now(), v.cache.hash(q.token)
	if h := v.cache.find(hash, q.token, kind); h != nil && h.alive(now) {
		switch v.standing(h, now) {
		case good:
			v.use(h, now)
			return &h.id, nil
		case revoked: // or changed: the server knows which
		case uncertain:
			if v.stale == Open {
				v.counts.accepted.Add(1)
				v.use(h, now)
				return &h.id, nil
			}
		}
	}
	if v.feed != nil && v.stale == Strict && !v.feed.Fresh(now) {
		v.counts.stale.Add(1)
		return nil, ErrStale
	}
	return v.learn(ctx, hash, kind, q)
}

// learn asks the server and remembers the answer. The feed may have been told more
// than the server knew when it read; then it is asked once more.
func (v *Verifier) learn(ctx context.Context, hash uint64, kind Kind, q question) (*Identity, error) {
	for range 2 {
		h, err := v.remote(ctx, kind, q)
		if err != nil {
			if old := v.cache.find(hash, q.token, kind); old != nil && errors.Is(err, ErrRevoked) {
				v.cache.drop(old)
			}
			return nil, err
		}
		if v.feed == nil {
			return &h.id, nil
		}
		now := v.now()
		h.keys = v.feed.Keys(v.subject(&h.id))
		if v.standing(h, now) == revoked {
			continue
		}
		h.asked = now.UnixNano()
		h.used.Store(h.asked)
		h.told.Store(h.asked)
		v.cache.keep(hash, h, now)
		return &h.id, nil
	}
	return nil, ErrRevoked
}

// remote takes the server's word for a credential, after checking that the
// answer is about a credential of this kind, for this API, and alive by our clock.
func (v *Verifier) remote(ctx context.Context, kind Kind, q question) (*held, error) {
	if !plain(q.token) {
		return nil, ErrMalformed
	}
	c, err := v.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if !c.active {
		return nil, ErrRevoked
	}
	c.id.Kind = kind
	if err := checkKind(c, kind); err != nil {
		return nil, err
	}
	if err := v.checkPlace(c); err != nil {
		return nil, err
	}
	if !c.has(nameExpires) || c.id.Subject == "" || kind == Session && c.id.SessionID == "" {
		return nil, ErrClaims
	}
	if err := v.checkTime(c, v.now()); err != nil {
		return nil, err
	}
	if kind == Session && c.has(nameBinding) {
		return nil, ErrBinding // a cookie's binding is another one, see package bound
	}
	return &held{credential: strings.Clone(q.token), id: *c.id, until: v.end(c.id), idle: c.idle, touch: c.touch}, nil
}

// end is the moment from which a credential is expired, in nanoseconds.
func (v *Verifier) end(id *Identity) int64 { return id.ExpiresAt.Add(v.leeway).UnixNano() }

// alive reports whether the server's answer may still be gone by. A session that was
// not used here for almost as long as it may be idle is asked about: only the server
// knows whether it was used elsewhere (S2, S3).
func (h *held) alive(now time.Time) bool {
	at := now.UnixNano()
	if at >= h.until || at-h.asked >= int64(askAgain) {
		return false
	}
	return h.idle == 0 || at-h.used.Load() < int64(h.idle-h.touch)
}

// use notes that a session is used, and tells the server now and then.
func (v *Verifier) use(h *held, now time.Time) {
	if h.idle == 0 {
		return
	}
	at := now.UnixNano()
	if at-h.used.Load() >= int64(time.Second) {
		h.used.Store(at)
	}
	if last := h.told.Load(); at-last >= int64(h.touch) && h.told.CompareAndSwap(last, at) {
		v.feed.Used(h.id.SessionID, now)
	}
}

// checkKind refuses a session presented as a bearer token, an access token
// presented as a cookie, and a refresh token presented as either.
func checkKind(c *claims, kind Kind) error {
	switch {
	case kind == Session && c.tokenType == "session":
		return nil
	case kind == Opaque && strings.EqualFold(c.tokenType, "Bearer") && c.id.Confirm.JKT == "":
		return nil
	case kind == Opaque && strings.EqualFold(c.tokenType, "DPoP") && c.id.Confirm.JKT != "":
		return nil
	case kind == Opaque && (strings.EqualFold(c.tokenType, "DPoP") || c.id.Confirm.JKT != ""):
		return ErrBinding // it contradicts itself
	}
	return ErrType
}
