package feed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// Bounds of one renewal.
const (
	maxNonce     = 128
	maxUses      = 1024
	maxAcks      = 256
	answerFrames = 8
	crowd        = 250 // verifiers that renew as often as Config.Renew says
	doubtEvery   = time.Minute
)

// Renew gives a lease, sealed for the one verifier: how old what this hub knows
// of the log is, and what the verifier lacks of it. It needs no store but for a
// verifier that this hub has not heard for long.
func (h *Hub) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	t, err := h.open(ctx, ticket)
	if err != nil {
		return "", err
	}
	if err := checkAsk(ask, t.Relay); err != nil {
		return "", err
	}
	arrival := h.clock.moment()
	h.follow.add(0, arrival.mono)
	if ask.AsOfMS < 0 || h.heard.newcomer(t.Verifier) {
		// A lease has to be of a time after the registration (I8).
		_ = h.refresh(ctx, arrival.mono) // if the log cannot be read, the age says so
	}
	if err := h.recent(ctx); err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	if err := h.welcome(ctx, t.Verifier); err != nil {
		return "", err
	}
	if err := h.doubt(ctx, t, ask); err != nil {
		return "", err
	}
	gone, err := h.note(ctx, t, ask)
	if err != nil {
		return "", err
	}
	if err := h.attest(ctx, t.Verifier); err != nil {
		return "", err
	}
	a, err := h.answer(ctx, ask, arrival)
	if err != nil {
		return "", err
	}
	a.Verifier, a.Gone = t.Verifier, gone
	return revocation.SealLease(a, h.LeaseKey(t.Verifier))
}

func checkAsk(ask revocation.Ask, relay bool) error {
	switch {
	case ask.Nonce == "" || len(ask.Nonce) > maxNonce:
		return fault.New(fault.Invalid, "nonce is missing or too long.")
	case ask.Epoch < 0 || ask.Applied < 0 || ask.Entries < 0:
		return fault.New(fault.Invalid, "epoch, applied and entries are not negative.")
	case len(ask.Uses) > maxUses || len(ask.Acks) > maxAcks:
		return fault.New(fault.TooLarge, "There are too many uses or acks for one renewal.")
	case len(ask.Acks) > 0 && !relay:
		return fault.New(fault.Invalid, "Only a relay passes on what others say.")
	}
	return nil
}

// note takes in how far the verifier is, and those behind it if it is a relay. It
// returns which of those are not known.
func (h *Hub) note(ctx context.Context, t *ticket, ask revocation.Ask) (gone []string, err error) {
	h.heard.hear(noteOf(t.Verifier, revocation.Ack{Epoch: ask.Epoch, Applied: ask.Applied, AsOfMS: ask.AsOfMS, Entries: ask.Entries}))
	h.used(t.ClientID, ask.Uses)
	for _, a := range ask.Acks {
		if !hmac.Equal([]byte(a.Proof), []byte(proofOf(a, h.LeaseKey(a.Verifier)))) {
			gone = append(gone, a.Verifier) // a relay that it did not register through
			continue
		}
		err := h.welcome(ctx, a.Verifier)
		if errors.Is(err, revocation.ErrRefused) {
			gone = append(gone, a.Verifier)
			continue
		}
		if err != nil {
			return nil, err
		}
		h.heard.hear(noteOf(a.Verifier, a))
		if err := h.attest(ctx, a.Verifier); err != nil {
			return nil, err
		}
		if clientID, ok := h.heard.client(a.Verifier); ok {
			h.used(clientID, a.Uses)
		}
	}
	return gone, nil
}

func noteOf(verifier string, a revocation.Ack) Note {
	n := Note{ID: verifier, Epoch: a.Epoch, Applied: a.Applied, Staleness: -1, Entries: int64(a.Entries)}
	if a.AsOfMS >= 0 {
		n.Staleness = time.Duration(a.AsOfMS) * time.Millisecond
	}
	return n
}

// usage is what one verifier saw used.
type usage struct {
	clientID string
	uses     []revocation.Use
	at       time.Time
}

// used passes uses on, when there is time: a lease does not wait for that. What is
// too much is dropped, and a session may end early for it.
func (h *Hub) used(clientID string, uses []revocation.Use) {
	if h.Used == nil || len(uses) == 0 {
		return
	}
	select {
	case h.usages <- usage{clientID, uses, h.Now()}:
	default:
	}
}

func (h *Hub) tellUses(ctx context.Context) {
	for {
		select {
		case u := <-h.usages:
			h.Used(u.clientID, u.uses, u.at)
		case <-ctx.Done():
			return
		}
	}
}

// proofOf is the code of an ack under the verifier's lease key. It stands for the
// verifier and how far it is: what else there is decides nothing.
func proofOf(a revocation.Ack, leaseKey []byte) string {
	m := hmac.New(sha256.New, leaseKey)
	m.Write([]byte("ack\n" + a.Verifier + "\n" + strconv.FormatInt(a.Epoch, 10) + ":" + strconv.FormatInt(a.Applied, 10)))
	return jose.EncodeSegment(m.Sum(nil))
}

// answer says what is known now to a question that came at a moment. The caller
// adds for whom.
func (h *Hub) answer(ctx context.Context, ask revocation.Ask, arrival moment) (revocation.Answer, error) {
	// In this order: what the ring holds is then never less than what the read that
	// the age is counted from has found.
	began, _ := h.state.at()
	v := h.ring.after(ask.Applied, answerFrames)
	a := revocation.Answer{
		Nonce: ask.Nonce, Epoch: v.at.Epoch, Head: v.at.Seq, RenewMS: h.renewEvery().Milliseconds(), LeaseMS: h.Lease.Milliseconds(),
		AgeMS: ageOf(arrival.after(began)), KeySet: h.keySet.now(),
	}
	switch {
	case ask.Epoch != v.at.Epoch || v.at.Seq-ask.Applied > maxBehind:
		a.Resync = true
	case ask.Applied < v.base:
		frames, err := h.below(ctx, revocation.Position{Epoch: v.at.Epoch, Seq: ask.Applied}, v.base)
		if err != nil {
			return a, fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
		}
		a.Frames = frames
	default:
		for _, p := range v.pieces {
			a.Frames = append(a.Frames, p.text)
		}
	}
	return a, nil
}

// ageOf is an age as it is told, rounded up. It is counted up to when the question
// came: the verifier counts from when it sent it, which was before.
func ageOf(d time.Duration) int64 {
	if off(ruleAge) {
		d = 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// below reads what comes after a position from the store, as far as it fits.
func (h *Hub) below(ctx context.Context, at revocation.Position, to int64) ([]string, error) {
	var frames []string
	for at.Seq < to && len(frames) < answerFrames {
		p, err := h.old(ctx, at, to)
		if err != nil {
			return nil, err
		}
		frames = append(frames, p.text)
		at.Seq = p.to
	}
	return frames, nil
}

// old makes a frame of positions that the ring does not hold.
func (h *Hub) old(ctx context.Context, at revocation.Position, to int64) (piece, error) {
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, _, err := h.frame(brief, at, to)
	return p, err
}

// renewEvery grows with the crowd, and stays well below the lease.
func (h *Hub) renewEvery() time.Duration {
	every := h.Config.Renew
	if h.heard.count() > crowd {
		every *= 2
	}
	return min(every, h.Lease/4)
}

// doubt looks whether the log is behind what it gave out (I16): then entries were
// lost, and a new epoch begins. It is proved by a frame or by the ticket, both of
// which we signed; a bare claim is believed now and then, to be safe.
func (h *Hub) doubt(ctx context.Context, t *ticket, ask revocation.Ask) error {
	claim := revocation.Position{Epoch: ask.Epoch, Seq: ask.Applied}
	signed := revocation.Position{Epoch: t.Epoch, Seq: t.Head}
	if at := h.ring.position(); !ahead(claim, at) && !ahead(signed, at) {
		return nil
	}
	// Another hub may have read further.
	if err := h.refresh(ctx, h.clock.elapsed()); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	at := h.ring.position()
	if ahead(claim, at) {
		f, err := revocation.ParseFrame(ask.Evidence, h.Issuer, finder(h.Config.Keys()))
		proved := revocation.Position{Epoch: f.Epoch, Seq: f.To}
		switch {
		case err == nil && ahead(proved, at):
			signed = proved
		case !ahead(signed, at) && !h.mayDoubt():
			return errTicket("it claims to be ahead of the log, and shows no proof")
		case !ahead(signed, at):
			signed = revocation.Position{Epoch: at.Epoch, Seq: at.Seq}
		}
	} else if !ahead(signed, at) {
		return nil
	}
	for epoch := at.Epoch; epoch <= signed.Epoch; epoch++ {
		if err := h.raise(ctx, revocation.Position{Epoch: epoch, Seq: max(signed.Seq, at.Seq)}); err != nil {
			return fault.Wrap(err, fault.Unavailable, "A new epoch cannot begin now.")
		}
	}
	if err := h.refresh(ctx, h.clock.elapsed()); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	return nil
}

func ahead(p, of revocation.Position) bool {
	return p.Epoch > of.Epoch || p.Epoch == of.Epoch && p.Seq > of.Seq
}

// mayDoubt lets a claim without proof through, once in a while.
func (h *Hub) mayDoubt() bool {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	now := h.clock.elapsed()
	if h.state.doubted && now-h.state.doubt < doubtEvery {
		return false
	}
	h.state.doubted, h.state.doubt = true, now
	return true
}
