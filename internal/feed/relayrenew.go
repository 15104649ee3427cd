package feed

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	passEvery  = time.Second           // acks are passed on so often
	passEager  = 5 * time.Millisecond  // and so soon when somebody waits
	firstSlack = 20 * time.Millisecond // of a verifier's clock against ours, about its registration
	relayWaits = time.Second
)

// Renew gives a lease, sealed with the verifier's own key: as old as the relay's.
// Nobody gets one of whom the issuer has not heard within notedWithin.
func (r *Relay) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	arrival := r.clock.moment()
	g, err := r.guest(ticket)
	if err != nil {
		return "", err
	}
	if err := checkAsk(ask, g.relay); err != nil {
		return "", err
	}
	gone, err := r.note(ctx, g, ask)
	if err != nil {
		return "", err
	}
	age, err := r.age(ctx, g, arrival)
	if err != nil {
		return "", err
	}
	a := r.answer(ask)
	a.Verifier, a.AgeMS, a.Gone = g.verifier, ageOf(age), gone
	return revocation.SealLease(a, g.leaseKey)
}

// age is how long before a question came the relay was complete. For who has just
// registered it waits until that is after the registration: no other lease is one
// (I8).
func (r *Relay) age(ctx context.Context, g *guest, arrival moment) (time.Duration, error) {
	for {
		stale := r.feed.Staleness(r.Now())
		now := r.clock.moment()
		waited := max(min(now.mono-arrival.mono, now.wall.Sub(arrival.wall)), 0)
		age := max(stale-waited, 0)
		switch {
		case stale >= 0 && (age == 0 || age+firstSlack <= arrival.after(g.since)):
			return age, nil
		case waited >= relayWaits:
			return 0, fault.New(fault.Unavailable, "The relay is not in touch with the issuer.")
		}
		if !pause(ctx, 2*passEager, nil) {
			return 0, ctx.Err()
		}
	}
}

// answer says what the relay has. It is called after the age was read: what is
// there is then never less.
func (r *Relay) answer(ask revocation.Ask) revocation.Answer {
	at := r.feed.At()
	r.ring.advance(at)
	v := r.ring.after(ask.Applied, answerFrames)
	r.mu.Lock()
	a := revocation.Answer{Nonce: ask.Nonce, Epoch: at.Epoch, Head: at.Seq, RenewMS: r.own.RenewMS, LeaseMS: r.own.LeaseMS, KeySet: r.feed.KeySet()}
	r.mu.Unlock()
	switch {
	case ask.Epoch != at.Epoch || v.at.Epoch != at.Epoch || ask.Applied < at.Seq && ask.Applied < v.base:
		a.Resync = true
	default:
		for _, p := range v.pieces {
			a.Frames = append(a.Frames, p.text)
		}
	}
	return a
}

// note takes in how far a guest is, and those behind it if it is a relay too, and
// waits until the issuer has heard of all of them lately.
func (r *Relay) note(ctx context.Context, g *guest, ask revocation.Ask) (gone []string, err error) {
	own := revocation.Ack{Verifier: g.verifier, Epoch: ask.Epoch, Applied: ask.Applied, AsOfMS: ask.AsOfMS, Entries: ask.Entries, Uses: ask.Uses}
	own.Proof = proofOf(own, g.leaseKey)
	heard := []*guest{g}
	r.mu.Lock()
	g.take(own, r.clock.elapsed())
	for _, a := range ask.Acks {
		other, ok := r.byID[a.Verifier]
		if !ok || !hmac.Equal([]byte(a.Proof), []byte(proofOf(a, other.leaseKey))) {
			gone = append(gone, a.Verifier)
			continue
		}
		other.take(a, r.clock.elapsed())
		heard = append(heard, other)
	}
	r.mu.Unlock()
	if r.ring.after(0, 0).eager.After(r.Now()) {
		pull(r.pump)
	}
	for _, g := range heard {
		if err := r.attest(ctx, g); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// take keeps an ack until it is passed on. The caller holds the relay's lock.
func (g *guest) take(a revocation.Ack, now time.Duration) {
	uses := append(g.ack.Uses, a.Uses...)
	if len(uses) > maxUses {
		uses = uses[len(uses)-maxUses:]
	}
	if a.Epoch > g.ack.Epoch || a.Epoch == g.ack.Epoch && a.Applied >= g.ack.Applied {
		g.ack = a
	}
	g.ack.Uses, g.heard, g.dirty = uses, now, true
}

// attest waits until the issuer has heard of a guest lately: see notedWithin.
func (r *Relay) attest(ctx context.Context, g *guest) error {
	began := r.clock.elapsed()
	for {
		r.mu.Lock()
		fresh, known, passed := r.clock.elapsed()-g.noted <= notedWithin, r.byID[g.verifier] == g, r.passed
		r.mu.Unlock()
		switch {
		case !known:
			return errTicket("the issuer does not know the verifier any more")
		case fresh:
			return nil
		case r.clock.elapsed()-began >= relayWaits:
			return fault.New(fault.Unavailable, "The issuer does not hear of the verifier now.")
		}
		pull(r.pump)
		if !pause(ctx, relayWaits, passed) {
			return ctx.Err()
		}
	}
}

// passAcks tells the issuer how far the guests are.
func (r *Relay) passAcks(ctx context.Context) {
	for pause(ctx, passEvery, r.pump) {
		if !pause(ctx, passEager, nil) { // many come at once
			return
		}
		for {
			more, err := r.pass(ctx)
			if err != nil && ctx.Err() == nil {
				r.Log.Debug("acks could not be passed on", "error", err)
				pause(ctx, passEvery/10, nil)
			}
			if err != nil || !more {
				break
			}
		}
		r.forget()
	}
}

// pass sends what one question holds, and reports whether there is more.
func (r *Relay) pass(ctx context.Context) (more bool, err error) {
	began := r.clock.elapsed()
	r.mu.Lock()
	own := r.own
	var acks []revocation.Ack
	uses := 0
	for _, g := range r.byID {
		if !g.dirty {
			continue
		}
		if len(acks) >= maxAcks || uses > maxUses {
			more = true
			break
		}
		acks = append(acks, g.ack)
		uses += len(g.ack.Uses)
		g.dirty, g.ack.Uses = false, nil
	}
	r.mu.Unlock()
	if len(acks) == 0 {
		return false, nil
	}
	gone, err := r.send(ctx, own, acks)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range acks {
		g, ok := r.byID[a.Verifier]
		switch {
		case !ok:
		case err != nil:
			g.dirty, g.ack.Uses = true, append(a.Uses, g.ack.Uses...)
		default:
			g.noted = began
		}
	}
	for _, id := range gone {
		if g, ok := r.byID[id]; ok {
			delete(r.guests, g.ticket)
			delete(r.byID, id)
		}
	}
	close(r.passed)
	r.passed = make(chan struct{})
	return more, err
}

// send passes acks on in a question of the relay's own. The answer's lease is not
// for the feed: it asks by itself.
func (r *Relay) send(ctx context.Context, own revocation.Registered, acks []revocation.Ack) (gone []string, err error) {
	if own.Ticket == "" {
		return nil, errors.New("the relay is not registered")
	}
	ask := revocation.Ask{Nonce: opaque.Text(16), AsOfMS: 0, Entries: r.feed.Stats().Entries, Acks: acks}
	if stale := r.feed.Staleness(r.Now()); stale > 0 {
		ask.AsOfMS = stale.Milliseconds()
	}
	brief, cancel := context.WithTimeout(ctx, 2*relayWaits)
	defer cancel()
	sealed, err := r.Upstream.Renew(brief, own.Ticket, ask)
	if err != nil {
		return nil, err
	}
	a, err := revocation.OpenLease(sealed, own.LeaseKey)
	if err != nil {
		return nil, err
	}
	if a.Nonce != ask.Nonce || a.Verifier != own.Verifier {
		return nil, fmt.Errorf("%w: answer to another question", revocation.ErrWire)
	}
	return a.Gone, nil
}

// forget drops guests that have been silent for long.
func (r *Relay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.elapsed()
	for _, g := range r.byID {
		if now-g.heard > forgetAfter {
			delete(r.guests, g.ticket)
			delete(r.byID, g.verifier)
		}
	}
}

// Snapshot is as Hub.Snapshot.
func (r *Relay) Snapshot(ctx context.Context, ticket string, least revocation.Position) ([]byte, error) {
	s, err := r.SnapshotAt(ctx, ticket, least)
	return s.Body, err
}

// SnapshotAt passes on a snapshot of the upstream: one of late, if it will do.
func (r *Relay) SnapshotAt(ctx context.Context, ticket string, least revocation.Position) (Shot, error) {
	if _, err := r.guest(ticket); err != nil {
		return Shot{}, err
	}
	if err := r.shots.making.enter(ctx); err != nil {
		return Shot{}, err
	}
	defer r.shots.making.leave()
	at := r.feed.At()
	r.ring.advance(at)
	base := revocation.Position{Epoch: at.Epoch, Seq: r.ring.after(0, 0).base}
	if ahead(base, least) {
		least = base // what comes before it, the relay could not add
	}
	if shot, ok := r.shots.fit(least, at, r.clock.elapsed()); ok {
		return shot, nil
	}
	r.mu.Lock()
	own := r.own
	r.mu.Unlock()
	body, err := r.Upstream.Snapshot(ctx, own.Ticket, least)
	if err != nil {
		return Shot{}, outward(err)
	}
	keys, err := r.Upstream.Keys(ctx)
	if err != nil {
		return Shot{}, outward(err)
	}
	pos, _, err := revocation.DecodeSnapshot(body, r.Issuer, finder(keys))
	if err != nil {
		return Shot{}, outward(err)
	}
	shot := Shot{At: pos, Body: body}
	r.shots.keep(shot, r.clock.elapsed())
	return shot, nil
}

// SnapshotOf is as Hub.SnapshotOf.
func (r *Relay) SnapshotOf(_ context.Context, ticket string, at revocation.Position) (Shot, error) {
	if _, err := r.guest(ticket); err != nil {
		return Shot{}, err
	}
	return r.shots.of(at)
}

// finder finds the key of a set that signed something.
func finder(keys jose.KeySet) revocation.KeyFinder {
	return func(kid string) (*jose.Key, error) {
		for _, k := range keys {
			if k.ID() == kid {
				return k, nil
			}
		}
		return nil, errors.New("key is not known")
	}
}
