package grant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// CodeFor is how long an authorization code is good (RFC 9700 section 2.1.1 wants it
// short, FAPI 2.0 at most this).
const CodeFor = 60 * time.Second

// Preview returns the scopes that a code for r would give, were it exchanged now: the
// one gate, asked before anybody is asked to allow them. A refusal is an *Error.
func (s *Service) Preview(ctx context.Context, r oidc.Request, sess session.Session) ([]string, error) {
	st, err := s.opening(ctx, r, sess)
	if err != nil {
		return nil, err
	}
	scopes, refused := authorizeIssuance(st, byCode, want{scopes: r.Scopes, proved: true}, s.Now())
	if refused != nil {
		return nil, refused
	}
	return scopes, nil
}

// opening reads the state that a code is opened on, with the grant as it would be.
func (s *Service) opening(ctx context.Context, r oidc.Request, sess session.Session) (State, error) {
	st, err := s.Store.Snapshot(ctx, Query{SessionID: sess.ID, ClientID: r.ClientID, APIID: r.APIID})
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	if st.User == nil || st.Session == nil || st.API == nil {
		return st, nil // the gate says which
	}
	now := s.Now()
	scopes := r.Scopes
	if len(scopes) == 0 {
		scopes = st.API.Scopes
	}
	st.Grant = &Grant{
		ID: opaque.ID(opaque.GrantID, now), SessionID: sess.ID, UserID: st.User.ID, ClientID: r.ClientID, APIID: r.APIID, Scopes: scopes,
		CreatedAt: now, ExpiresAt: now.Add(CodeFor), RotatedAt: now,
		Details: Details{
			RedirectURI: r.RedirectURI, RedirectSent: r.RedirectSent, Challenge: r.Challenge, CodeJKT: r.JKT, Nonce: r.Nonce, Claims: r.Claims,
		},
	}
	return st, nil
}

// OpenCode opens a grant that only its code can bring to life, and returns the code.
// scopes are what the person allowed, and unless the client skips consent they are
// remembered as allowed. Nothing is opened when what allows it ended or was taken
// back meanwhile (session.ErrGone). A refusal is an *Error.
func (s *Service) OpenCode(ctx context.Context, r oidc.Request, sess session.Session, scopes []string) (string, error) {
	st, err := s.opening(ctx, r, sess)
	if err != nil {
		return "", err
	}
	given, refused := authorizeIssuance(st, byCode, want{scopes: scopes, proved: true}, s.Now())
	if refused != nil {
		return "", refused
	}
	st.Grant.Scopes, st.Grant.Details.Consented = given, !st.Client.SkipsConsent()
	added, err := s.Store.AddGrant(ctx, *st.Grant, revoke.Effects{
		Guard: &revoke.Guard{RSN: st.RSN, Refs: []revoke.Ref{
			{Kind: revoke.Client, Key: r.ClientID}, {Kind: revoke.API, Key: r.APIID}, {Kind: revoke.Session, Key: sess.ID}, {Kind: revoke.User, Key: sess.UserID},
		}},
		Audit: []audit.Event{{
			At: s.Now(), Action: "code.open", Actor: sess.UserID, Target: st.Grant.ID, Client: r.ClientID, Session: sess.ID,
			Detail: audit.Clip(join(given)),
		}},
	})
	if err != nil {
		return "", fmt.Errorf("add grant: %w", err)
	}
	if !added {
		return "", session.ErrGone
	}
	return s.Codes.Encode(st.Grant.ID), nil
}

// CodeAsk is an authorization code as presented.
type CodeAsk struct {
	Code        string
	RedirectURI string
	Verifier    string
	API         string // the id of the API that the request names, "" for none
	Proof       Proof
}

// Exchange turns a code into tokens, once (RFC 6749 section 4.1.3). A code that is
// shown a second time, by another client or without what it is bound to is used up,
// and whatever it gave is taken back.
func (s *Service) Exchange(ctx context.Context, c client.Client, ask CodeAsk) (Tokens, error) {
	id, ok := s.Codes.Decode(ask.Code)
	if !ok {
		return Tokens{}, refuse(InvalidGrant, "The code is not valid.")
	}
	now := s.Now()
	var t turn
	err := s.Store.ChangeGrant(ctx, id, func(st State) Change {
		var ch Change
		t, ch = s.redeem(st, c, ask, now)
		return ch
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("exchange code: %w", err)
	}
	if t.refused != nil {
		return Tokens{}, t.refused
	}
	s.Sessions.Touch(t.state.Session, now)
	out, err := s.mint(ctx, t.state, minting{scopes: t.scopes, proof: ask.Proof, now: now, nonce: t.state.Grant.Details.Nonce})
	if err != nil {
		return Tokens{}, err
	}
	if t.gen > 0 && c.MayUse(client.RefreshToken) {
		out.RefreshToken = s.Config.Refresh.Encode(id, t.gen)
	}
	return out, nil
}

// redeem is pure: it says what becomes of a grant when its code is shown.
func (s *Service) redeem(st State, c client.Client, ask CodeAsk, now time.Time) (turn, Change) {
	g := st.Grant
	if g == nil || g.Pending() && !now.Before(g.ExpiresAt) {
		return turn{refused: refuse(InvalidGrant, "The code is unknown, expired, or was taken back.")}, Change{}
	}
	if why := misfit(*g, c, ask); why != "" {
		return turn{refused: refuse(InvalidGrant, why)}, s.burn(*g, c, why, now)
	}
	if ask.API != "" && ask.API != g.APIID {
		return turn{refused: refuse(InvalidTarget, "The code is for another API.")}, Change{}
	}
	scopes, refused := authorizeIssuance(st, byCode, want{scopes: g.Scopes, proof: ask.Proof}, now)
	if refused != nil {
		return turn{refused: refused}, Change{}
	}
	next := *g
	next.Gen, next.RotatedAt, next.Scopes = 1, now, scopes
	next.ExpiresAt = s.familyEnd(*st.Session, now)
	next.Details.Challenge = "" // used up; the rest is told again to who shows the code twice
	next.Details.JKT, next.Details.X5T = holder(c, ask.Proof)
	st.Grant = &next
	return turn{state: st, scopes: scopes, gen: next.Gen}, Change{Next: &next}
}

// holder is what refreshing must show from now on: the keys that were proved, of a
// client that has nothing else to show, or is registered for them.
func holder(c client.Client, p Proof) (jkt, x5t string) {
	if c.Kind == client.Public || c.OAuth.DPoPBound {
		jkt = p.JKT
	}
	if c.Kind == client.Public || c.OAuth.TLSBound {
		x5t = p.X5T
	}
	return jkt, x5t
}

// misfit says what is wrong with how a code is shown, "" for nothing. Every such try
// uses the code up: who shows it so has it from somebody else.
func misfit(g Grant, c client.Client, ask CodeAsk) string {
	d := g.Details
	switch {
	case g.ClientID != c.ID:
		return "The code was given to another client."
	case !g.Pending():
		return "The code was used before."
	case ask.RedirectURI != d.RedirectURI && (ask.RedirectURI != "" || d.RedirectSent && c.Holds() == client.Certification):
		return "redirect_uri is not that of the authorization request."
	case d.Challenge == "" && ask.Verifier != "":
		return "code_verifier was sent, and the authorization request had no code_challenge." // RFC 9700 section 2.1.1
	case d.Challenge != "" && !verifies(ask.Verifier, d.Challenge):
		return "code_verifier does not fit the code_challenge."
	case d.CodeJKT != "" && d.CodeJKT != ask.Proof.JKT:
		return "The code is bound to the key dpop_jkt, and the request does not prove it."
	}
	return ""
}

// verifies compares as RFC 7636 section 4.6 does for S256. A verifier of the wrong
// form fits nothing.
func verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// burn ends the grant of a code, with all it gave.
func (s *Service) burn(g Grant, c client.Client, why string, now time.Time) Change {
	return Change{Effects: revoke.Effects{
		Revoke: []revoke.Entry{revoke.New(revoke.Grant, g.ID, "code", now)},
		Audit: []audit.Event{{
			At: now, Action: "code.refused", Actor: c.ID, Target: g.UserID, Client: g.ClientID, Session: g.SessionID, Detail: audit.Clip(why),
		}},
	}}
}
