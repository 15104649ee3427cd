package feed

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// Admit makes a verifier known to whom its client's credentials open the feed.
// What opens it is asked after the position was read that the ticket hangs from:
// a client that is disabled meanwhile has no ticket.
func (h *Hub) Admit(ctx context.Context, c Credentials, r revocation.Registration) (revocation.Registered, error) {
	rsn := h.Position()
	clientID, err := h.Authenticate(ctx, c)
	if err != nil {
		return revocation.Registered{}, err
	}
	return h.Register(ctx, Caller{ClientID: clientID, RSN: rsn}, r)
}

// Register makes a verifier of a client known. It is durable when it returns, and
// Head was read after that: what is written later waits for the verifier, what
// was written before is at or below Head.
func (h *Hub) Register(ctx context.Context, c Caller, r revocation.Registration) (revocation.Registered, error) {
	if err := checkRegistration(r); err != nil {
		return revocation.Registered{}, err
	}
	if c.ClientID == "" {
		return revocation.Registered{}, fault.Wrap(revocation.ErrRefused, fault.Unauthenticated, "A verifier is registered for a client.")
	}
	now := h.Now()
	v := Verifier{
		ID: opaque.ID(verifierID, now), Kind: PartVerifier, ClientID: c.ClientID, Name: r.Name, Audience: r.Audience, Policy: r.Policy,
		Version: r.Version, Registered: now,
	}
	if r.Relay {
		v.Kind = PartRelay
	}
	v.Note = Note{ID: v.ID, Staleness: -1, Node: h.Node, Seen: now}
	began := h.clock.elapsed()
	if err := h.Store.AddVerifier(ctx, v); err != nil {
		return revocation.Registered{}, err
	}
	out, err := h.invite(ctx, c, v)
	if err != nil {
		// Nobody has its ticket: nobody should wait for it.
		_ = h.Store.RemoveVerifiers(context.WithoutCancel(ctx), []string{v.ID})
		return revocation.Registered{}, err
	}
	h.heard.add(v, began)
	h.tickets.deny(c.ClientID, false) // it was let in just now
	return out, nil
}

// invite makes the answer for a verifier whose row is durable.
func (h *Hub) invite(ctx context.Context, c Caller, v Verifier) (revocation.Registered, error) {
	if err := h.refresh(ctx, h.clock.elapsed()); err != nil {
		return revocation.Registered{}, fault.Wrap(err, fault.Unavailable, "The log cannot be read now.")
	}
	at := h.ring.position()
	text, err := h.sign(ticket{
		Issuer: h.Issuer, Verifier: v.ID, ClientID: c.ClientID, Epoch: at.Epoch, RSN: c.RSN, Head: at.Seq, Relay: v.Kind == PartRelay, Secrets: h.secrets(),
		IssuedAt: v.Registered.Unix(), Expires: v.Registered.Add(ticketLife).Unix(),
	})
	if err != nil {
		return revocation.Registered{}, err
	}
	return revocation.Registered{
		Verifier: v.ID, Ticket: text, LeaseKey: h.LeaseKey(v.ID), Secret: append([]byte(nil), h.Secret[:]...), Epoch: at.Epoch, Head: at.Seq,
		RenewMS: h.renewEvery().Milliseconds(), LeaseMS: h.Lease.Milliseconds(),
	}, nil
}

func checkRegistration(r revocation.Registration) error {
	for _, f := range []struct {
		name, value string
		most        int
	}{{"name", r.Name, 200}, {"audience", r.Audience, 512}, {"policy", r.Policy, 16}, {"version", r.Version, 64}} {
		if len(f.value) > f.most || !utf8.ValidString(f.value) || strings.ContainsFunc(f.value, unicode.IsControl) {
			return fault.New(fault.Invalid, "The verifier's "+f.name+" is too long or not plain text.")
		}
	}
	switch r.Policy {
	case "", "strict", "degrade", "open":
		return nil
	}
	return fault.New(fault.Invalid, "policy must be strict, degrade or open.")
}

// Leave takes a verifier off the list: nobody waits for it any more.
func (h *Hub) Leave(ctx context.Context, ticket string) error {
	t, err := h.open(ctx, ticket)
	if err != nil {
		return err
	}
	h.heard.drop(t.Verifier) // first: a note that is written late finds no row, and it gets no lease any more
	return h.Store.RemoveVerifiers(ctx, []string{t.Verifier})
}

// As returns the hub as a verifier of a client sees it, in this process.
func (h *Hub) As(c Caller) revocation.Hub { return local{Hub: h, caller: c} }

type local struct {
	*Hub
	caller Caller
}

// Register makes the verifier known as the one client's.
func (l local) Register(ctx context.Context, r revocation.Registration) (revocation.Registered, error) {
	return l.Hub.Register(ctx, l.caller, r)
}
