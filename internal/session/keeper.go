package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/bound"
)

// Limits are the times that end a session, and how exactly its use is noted.
type Limits struct {
	Idle     time.Duration // unused for this long: dead
	Absolute time.Duration // since login: dead
	Touch    time.Duration // use is written at most once in this time; at most Idle/10 (S1)
	Bind     bound.Policy  // what sessions that no client started are bound to
}

// DefaultLimits are 12 hours unused, 7 days in all, noted to the minute.
func DefaultLimits() Limits {
	return Limits{Idle: 12 * time.Hour, Absolute: 7 * 24 * time.Hour, Touch: time.Minute}
}

// Keeper starts, finds, renews and ends sessions.
type Keeper struct {
	store  Store
	ender  Ender
	limits Limits
	now    func() time.Time
	uses   uses
	told   told
}

// Ender writes the entries that end sessions.
type Ender interface {
	Record(ctx context.Context, fx revoke.Effects) (int64, error)
}

// Port is what a Keeper needs of a store.
type Port interface {
	Store
	Ender
}

// NewKeeper returns a keeper. Touch is lowered to a tenth of Idle if it is more.
func NewKeeper(st Port, l Limits, now func() time.Time) *Keeper {
	l.Touch = min(l.Touch, l.Idle/10)
	return &Keeper{store: st, ender: st, limits: l, now: now}
}

// Limits returns the limits in force.
func (k *Keeper) Limits() Limits { return k.limits }

// Login is what is known when somebody has proved who they are.
type Login struct {
	UserID   string
	ClientID string       // the client that asked, "" for our own pages
	AMR      []string     // how it was proved (RFC 8176)
	AuthTime time.Time    // when; zero: now
	Seen     bound.Seen   // where they are: the address and user agent are kept, the latter clipped
	Bind     bound.Policy // the client's: what the session is bound to, as seen
	Replaces string       // sid of the session in the same browser: it ends in the same transaction
	// Most is the longest the session may live, when it is not to live as long as the
	// limits let it; zero for that.
	Most time.Duration
	// Guard refuses the session when what proved the person was taken back
	// between then and now. nil when nothing was checked beforehand.
	Guard *revoke.Guard
}

// Start begins a session with a new id and a new secret. The secret is returned
// once and stored nowhere.
func (k *Keeper) Start(ctx context.Context, l Login) (Session, string, error) {
	now := k.now()
	secret := opaque.Secret()
	s := Session{
		ID: opaque.ID(opaque.SessionID, now), Secret: opaque.Hash(secret), UserID: l.UserID, ClientID: l.ClientID,
		CreatedAt: now, AuthTime: now, AMR: slices.Clone(l.AMR), SeenAt: now,
		ExpiresAt: now.Add(k.absolute(l)), Agent: audit.Clip(strings.ToValidUTF8(l.Seen.Agent, "?")),
	}
	if l.Seen.Address.IsValid() {
		s.Address = l.Seen.Address.String()
	}
	if l.ClientID == "" {
		l.Bind = k.limits.Bind
	}
	if !l.AuthTime.IsZero() {
		s.AuthTime = l.AuthTime
	}
	s.Binding = l.Bind.Of(s.ID, l.Seen).String()
	s.IdleUntil = k.idleUntil(s, now)
	fx := revoke.Effects{Audit: []audit.Event{event(s, now, "session.start", l.UserID)}, Guard: l.Guard}
	if l.Replaces != "" {
		fx.Revoke = append(fx.Revoke, revoke.New(revoke.Session, l.Replaces, "replaced", now))
	}
	err := k.store.StartSession(ctx, s, fx)
	if l.Guard != nil && fault.Is(err, fault.Conflict) {
		return Session{}, "", ErrGone
	}
	if err != nil {
		return Session{}, "", fmt.Errorf("start session: %w", err)
	}
	return s, secret, nil
}

// Succeed begins the session that goes on where old, and all others of the person, were
// ended by a change of password. It has an id of its own, so that whoever remembers the
// old cookie, or a token that was made of it, knows by the log that it is over.
func (k *Keeper) Succeed(ctx context.Context, old Session, amr []string, seen bound.Seen) (Session, string, error) {
	b, err := bound.Parse(old.Binding)
	if err != nil {
		return Session{}, "", fmt.Errorf("read what a session is bound to: %w", err)
	}
	return k.Start(ctx, Login{
		UserID: old.UserID, ClientID: old.ClientID, AMR: amr, Seen: seen, Bind: bound.Policy{Network: b.Network.Mode, Device: b.Device.Mode},
	})
}

func (k *Keeper) absolute(l Login) time.Duration {
	if l.Most > 0 {
		return min(l.Most, k.limits.Absolute)
	}
	return k.limits.Absolute
}

func event(s Session, now time.Time, action, actor string) audit.Event {
	return audit.Event{
		At: now, Action: action, Actor: actor, Target: s.UserID,
		Client: s.ClientID, Session: s.ID, Address: s.Address,
	}
}

// idleUntil never passes the absolute limit.
func (k *Keeper) idleUntil(s Session, now time.Time) time.Time {
	until := now.Add(k.limits.Idle)
	if until.After(s.ExpiresAt) {
		return s.ExpiresAt
	}
	return until
}

// Find returns the live session that a cookie's value belongs to, and the log
// position read with it. A value of the wrong form, an unknown one and one past
// a limit are all "not found". seen is compared with what the session is bound
// to: ErrElsewhere when it may not be used from there; it goes on where it was
// started. Use is noted, see Touch.
func (k *Keeper) Find(ctx context.Context, secret string, seen bound.Seen) (s Session, rsn int64, found bool, err error) {
	if !WellFormed(secret) {
		return Session{}, 0, false, nil
	}
	s, rsn, found, err = k.store.SessionBySecret(ctx, opaque.Hash(secret))
	if err != nil {
		return Session{}, 0, false, fmt.Errorf("find session: %w", err)
	}
	now := k.now()
	if !found || !s.Live(now) {
		return Session{}, 0, false, nil
	}
	if err := k.Judge(ctx, s, seen); err != nil {
		return Session{}, 0, false, err
	}
	k.Touch(&s, now)
	return s, rsn, true, nil
}

// WellFormed reports whether a cookie's value can be a session secret at all:
// 43 characters of base64url. Anything else is refused without a look-up.
func WellFormed(secret string) bool {
	if len(secret) != 43 {
		return false
	}
	for i := range len(secret) {
		c := secret[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// Renew gives a session a new secret at a change of privilege; the old one is
// dead when it returns. It fails when the session ended or was renewed meanwhile.
func (k *Keeper) Renew(ctx context.Context, s Session, amr []string) (Session, string, error) {
	now := k.now()
	old, secret := s.Secret, opaque.Secret()
	s.Secret, s.AuthTime, s.AMR, s.SeenAt = opaque.Hash(secret), now, slices.Clone(amr), now
	s.IdleUntil = k.idleUntil(s, now)
	fx := revoke.Effects{Audit: []audit.Event{event(s, now, "session.renew", s.UserID)}}
	done, err := k.store.RenewSession(ctx, old, s, fx)
	if err != nil {
		return Session{}, "", fmt.Errorf("renew session: %w", err)
	}
	if !done {
		return Session{}, "", ErrGone
	}
	return s, secret, nil
}
