package revocation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// rho bounds how much faster or slower than another a clock may run.
const rho = 1e-3

// instant is one reading of both clocks.
type instant struct {
	wall time.Time // with its monotonic part, if it has one
	ran  time.Duration
}

func (f *Feed) instant() instant {
	i := instant{wall: f.c.Now()}
	if f.c.Elapsed != nil {
		i.ran = f.c.Elapsed()
	}
	return i
}

// since is the time by the clock that only runs forward.
func (i instant) since(before instant) time.Duration {
	if d := i.ran - before.ran; i.ran != 0 || before.ran != 0 {
		return d
	}
	return i.wall.Sub(before.wall)
}

// lease says as of when the set is complete.
type lease struct {
	asked   instant
	older   time.Duration // how long before asking it was complete
	longest time.Duration
}

// staleness is how long ago the set was known to be complete: by the clock that
// shows more. A machine that was suspended has only its wall clock to tell by; one
// whose wall clock was set back has only the other.
func (l *lease) staleness(now time.Time, ran time.Duration) time.Duration {
	elapsed := now.Sub(l.asked.wall)
	if l.asked.ran != 0 || ran != 0 {
		elapsed = ran - l.asked.ran
	}
	if wall := time.Duration(now.UnixNano() - l.asked.wall.UnixNano()); wall > elapsed && !off(RuleWallClock) {
		elapsed = wall
	}
	return elapsed + l.older
}

// Fresh reports whether the feed's answers may be relied on at now, the caller's
// one reading of the clock. It reads one value and takes no lock.
func (f *Feed) Fresh(now time.Time) bool {
	l := f.lease.Load()
	if l == nil {
		return off(RuleFirstLease) && f.known.Load() != nil
	}
	return l.staleness(now, f.ran()) <= l.longest
}

// Staleness is how long ago the feed was known to be complete; negative before the
// first lease.
func (f *Feed) Staleness(now time.Time) time.Duration {
	l := f.lease.Load()
	if l == nil {
		return -1
	}
	return max(l.staleness(now, f.ran()), 0)
}

func (f *Feed) ran() time.Duration {
	if f.c.Elapsed == nil {
		return 0
	}
	return f.c.Elapsed()
}

// renewals renews until the hub wants another registration.
func (f *Feed) renewals(ctx context.Context, s *session) error {
	every := time.Duration(s.RenewMS) * time.Millisecond
	swept := f.instant()
	for {
		next, err := f.renew(ctx, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrRefused):
			return errNewSession
		case err != nil:
			f.notice(err)
			next = every
		}
		if next > 0 {
			every = next
		}
		if now := f.instant(); now.since(swept) >= sweepEvery {
			swept = now
			f.sweep(now.wall)
		}
		f.keys.refresh(ctx)
		f.pauseOrKick(ctx, every)
	}
}

func (f *Feed) pauseOrKick(ctx context.Context, every time.Duration) {
	// A tenth at random: a fleet that lost its hub does not come back in step.
	t := time.NewTimer(every - time.Duration(mathrand.Int64N(int64(every)/10+1)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.kicked:
	case <-ctx.Done():
	}
}

func (f *Feed) sweep(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.known.Load(); known != nil {
		until := now.Add(-sweepSkew)
		if off(RuleKeepUntil) {
			until = now.Add(48 * time.Hour)
		}
		known.set.Expire(until.Unix())
	}
}

// renew asks for a lease and applies what comes with it. It returns how soon to ask
// again.
func (f *Feed) renew(ctx context.Context, s *session) (time.Duration, error) {
	ask, asked := f.ask()
	call, cancel := context.WithTimeout(ctx, min(callTimeout, s.max))
	defer cancel()
	sealed, err := f.hub.Renew(call, s.Ticket, ask)
	if err != nil {
		f.uses.putBack(ask.Uses, asked.wall)
		return 0, fmt.Errorf("renew lease: %w", err)
	}
	a, err := OpenLease(sealed, s.LeaseKey)
	if err != nil {
		return 0, fmt.Errorf("renew lease: %w", err)
	}
	if (a.Nonce != ask.Nonce || a.Verifier != s.Verifier) && !off(RuleNonce) {
		return 0, fmt.Errorf("renew lease: %w: answer to another question", ErrWire)
	}
	f.announce(a.KeySet)
	for _, frame := range a.Frames {
		if err := f.take(frame); err != nil {
			return 0, fmt.Errorf("renew lease: %w", err)
		}
	}
	if at := f.At(); a.Resync || a.Epoch > at.Epoch {
		s.Epoch = max(s.Epoch, a.Epoch)
		return shortestPause, f.resync(ctx, s)
	}
	if off(RuleSentAt) {
		asked = f.instant()
	}
	f.accept(s, a, asked)
	return time.Duration(a.RenewMS) * time.Millisecond, nil
}

// announce passes on which key set the issuer has.
func (f *Feed) announce(version string) {
	if version == "" {
		return // of a hub of an earlier release, or one that does not know
	}
	f.mu.Lock()
	f.keySet = version
	all := f.onKeys // appended to, never changed
	f.mu.Unlock()
	for _, hear := range all {
		hear(version)
	}
}

func (f *Feed) ask() (Ask, instant) {
	now := f.instant()
	f.mu.Lock()
	defer f.mu.Unlock()
	a := Ask{Nonce: rand.Text(), Epoch: f.at.Epoch, Applied: f.at.Seq, Evidence: f.proof, AsOfMS: -1, Uses: f.uses.take(now.wall)}
	if stale := f.Staleness(now.wall); stale >= 0 {
		a.AsOfMS = stale.Milliseconds()
	}
	if known := f.known.Load(); known != nil {
		a.Entries = known.set.Len()
	}
	return a, now
}

// accept takes a lease, if everything that it vouches for has been applied.
func (f *Feed) accept(s *session, a Answer, asked instant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.known.Load()
	if f.session != s || known == nil || !known.complete.Load() || a.Epoch != f.at.Epoch {
		return
	}
	if f.at.Seq < a.Head && !off(RuleHead) {
		f.kickSoon()
		return
	}
	age := time.Duration(a.AgeMS) * time.Millisecond
	l := &lease{asked: asked, older: age + time.Duration(float64(age)*2*rho), longest: f.bounded(a.LeaseMS)}
	// Who waited for all verifiers did not wait for one that was registered later: its
	// first lease must not be of a time before that (I8).
	if asked.since(s.since) < l.older && !off(RuleAnchored) {
		f.kickSoon()
		return
	}
	if last := f.lease.Load(); last != nil && asked.since(last.asked) < l.older-last.older {
		return // an answer that took longer on its way than a later one
	}
	f.lease.Store(l)
	f.counts.renewals.Add(1)
	f.readyOnce.Do(func() { close(f.ready) })
	if f.lost.CompareAndSwap(true, false) {
		f.c.Logger.Info("revocation feed is back")
	}
}

// pauses grow with each failure, and differ between verifiers.
type pauses struct{ last time.Duration }

func (p *pauses) reset() { p.last = 0 }

func (p *pauses) wait(ctx context.Context) {
	p.last = min(max(2*p.last, shortestPause), longestPause)
	t := time.NewTimer(p.last/2 + mathrand.N(p.last/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
