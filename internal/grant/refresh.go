package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/bound"
)

// RefreshAsk is a refresh token as presented.
type RefreshAsk struct {
	Token  string
	Scopes []string // a subset, to narrow this one access token; empty: as granted
	Proof  Proof
	Seen   bound.Seen // where the caller is; for the audit log, and compared with what the session is bound to
}

// turn is what a decision said, besides what it wrote.
type turn struct {
	state   State
	scopes  []string
	gen     uint32 // the generation whose token is handed out
	refused *Error
	// elsewhere is the session when it was used from where it is not bound to.
	elsewhere *session.Session
}

// Refresh turns a refresh token into an access token and the next refresh token
// (RFC 6749 section 6, RFC 9700 section 4.14). The generation that came before
// the current one, shown again within the window, gets the same successor: two
// tabs, or a lost answer. Anything older ends the session: somebody else holds it.
func (s *Service) Refresh(ctx context.Context, c client.Client, ask RefreshAsk) (Tokens, error) {
	id, gen, ok := s.Config.Refresh.Decode(ask.Token)
	if !ok {
		return Tokens{}, refuse(InvalidGrant, "The refresh token is not valid.")
	}
	now := s.Now()
	var t turn
	err := s.Store.ChangeGrant(ctx, id, func(st State) Change {
		var ch Change
		t, ch = s.decide(st, c, shown{gen: gen, ask: ask, now: now})
		return ch
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("refresh: %w", err)
	}
	if t.elsewhere != nil {
		if err := s.Sessions.Judge(ctx, *t.elsewhere, ask.Seen); err != nil && !errors.Is(err, session.ErrElsewhere) {
			return Tokens{}, err
		}
	}
	if t.refused != nil {
		return Tokens{}, t.refused
	}
	s.Sessions.Touch(t.state.Session, now)
	out, err := s.mint(ctx, t.state, minting{scopes: t.scopes, proof: ask.Proof, now: now})
	if err != nil {
		return Tokens{}, err
	}
	out.RefreshToken = s.Config.Refresh.Encode(id, t.gen)
	return out, nil
}

type shown struct {
	gen uint32
	ask RefreshAsk
	now time.Time
}

// decide is pure: it says what becomes of a grant when a generation is shown.
func (s *Service) decide(st State, c client.Client, in shown) (turn, Change) {
	g := st.Grant
	ended := turn{refused: refuse(InvalidGrant, "The refresh token has ended.")}
	if g == nil {
		return ended, Change{}
	}
	if g.ClientID != c.ID { // another client's token: refused, and told of
		return ended, Change{Effects: revoke.Effects{Audit: []audit.Event{s.note(*g, in, "refresh.wrong_client", c.ID)}}}
	}
	if in.gen != g.Gen && !s.isRace(*g, in) {
		return ended, s.theft(*g, in)
	}
	if refused := boundTo(*g, in.ask.Proof); refused != nil {
		// The session lives: who has the token and not the key can do nothing with it.
		return turn{refused: refused}, Change{Effects: revoke.Effects{Audit: []audit.Event{s.note(*g, in, "refresh.wrong_key", "")}}}
	}
	scopes, refused := authorizeIssuance(st, byRefresh, want{scopes: in.ask.Scopes, proof: in.ask.Proof}, in.now)
	if refused != nil {
		return turn{refused: refused}, Change{}
	}
	mode := elsewhere(st, in.ask.Seen)
	if mode == bound.StepUp || mode == bound.Refuse {
		// Nothing is used up: whoever it belongs to goes on.
		return turn{elsewhere: st.Session, refused: refuse(InvalidGrant, session.ErrElsewhere.Public)}, Change{}
	}
	next := *g
	ch := Change{Next: &next}
	switch {
	case in.gen == g.Gen && st.Client.Rotates(g.Details.bound()):
		next.Gen, next.RotatedAt, next.Replays = g.Gen+1, in.now, 0
	case in.gen == g.Gen:
		ch.Next = nil // only its client can use it: it stays as it is
	default:
		next.Replays++
		apart := in.now.Sub(g.RotatedAt).Milliseconds()
		ch.Effects.Audit = []audit.Event{s.note(*g, in, "refresh.race", fmt.Sprintf("same client, %d ms apart", apart))}
	}
	done := turn{state: st, scopes: scopes, gen: next.Gen}
	if mode == bound.Report {
		done.elsewhere = st.Session
	}
	return done, ch
}

// boundTo refuses a refresh token that is bound to a key which the caller did not
// prove to hold (RFC 9449 section 5, RFC 8705 section 4).
func boundTo(g Grant, p Proof) *Error {
	if g.Details.JKT != "" && g.Details.JKT != p.JKT || g.Details.X5T != "" && g.Details.X5T != p.X5T {
		return refuse(InvalidGrant, "The refresh token is bound to a key that the request does not prove.")
	}
	return nil
}

// elsewhere compares where a refresh token is shown with what its session is
// bound to. Only a public client stands where the person is; a confidential one
// is a server, and proves itself by its secret.
func elsewhere(st State, seen bound.Seen) bound.Mode {
	if st.Client.Kind != client.Public {
		return bound.Off
	}
	b, err := bound.Parse(st.Session.Binding)
	if err != nil {
		return bound.Refuse
	}
	return b.Check(st.Session.ID, seen).Mode
}

// isRace reports whether the previous generation came again soon enough.
func (s *Service) isRace(g Grant, in shown) bool {
	return in.gen+1 == g.Gen && in.now.Sub(g.RotatedAt) <= s.Window
}

// theft ends the session that the family hangs from (R6): every access token of
// the family carries its sid.
func (s *Service) theft(g Grant, in shown) Change {
	detail := fmt.Sprintf("generation %d shown, %d is current for %d s", in.gen, g.Gen, int(in.now.Sub(g.RotatedAt).Seconds()))
	return Change{Effects: revoke.Effects{
		Revoke: []revoke.Entry{revoke.New(revoke.Session, g.SessionID, "reuse", in.now)},
		Audit:  []audit.Event{s.note(g, in, "refresh.theft", detail)},
	}}
}

func addressOf(seen bound.Seen) string {
	if !seen.Address.IsValid() {
		return ""
	}
	return seen.Address.String()
}

func (s *Service) note(g Grant, in shown, action, detail string) audit.Event {
	return audit.Event{
		At: in.now, Action: action, Actor: g.ClientID, Target: g.UserID, Client: g.ClientID, Session: g.SessionID,
		Address: addressOf(in.ask.Seen), Detail: audit.Clip(detail),
	}
}
