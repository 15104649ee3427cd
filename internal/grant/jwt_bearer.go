package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/ticket"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Users finds whom an assertion names.
type Users interface {
	UserByLogin(ctx context.Context, canonical string) (account.User, bool, error)
}

// AssertionAsk is an assertion that is to be turned into a token (RFC 7523 section
// 2.1).
type AssertionAsk struct {
	Assertion string
	API       string
	Scopes    []string
	Proof     Proof
	Seen      bound.Seen
}

// assertionTypes are the typ that an assertion may have: none of another kind of token
// of anybody's. The last is that of an identity assertion authorization grant
// (draft-ietf-oauth-identity-assertion-authz-grant).
var assertionTypes = []string{"", "JWT", "jwt", "authorization-grant+jwt", "oauth-id-jag+jwt"}

// AssertionGrant turns the word of an issuer that the client's registration names into
// a token for the person whom it is about, by their login. What it gives hangs from a
// session of its own, which ends with the token; there is no refresh token, since the
// issuer can be asked again.
func (s *Service) AssertionGrant(ctx context.Context, c client.Client, ask AssertionAsk) (Tokens, error) {
	a, err := s.assertedBy(ctx, c, ask.Assertion)
	if err != nil {
		return Tokens{}, err
	}
	user, err := s.subjectUser(ctx, a.subject)
	if err != nil {
		return Tokens{}, err
	}
	id, err := s.apiID(ctx, Ask{ClientID: c.ID, API: ask.API})
	if err != nil {
		return Tokens{}, err
	}
	st, err := s.Store.Snapshot(ctx, Query{UserID: user.ID, ClientID: c.ID, APIID: id})
	if err != nil {
		return Tokens{}, fmt.Errorf("read state: %w", err)
	}
	now := s.Now()
	later := now.Add(time.Minute)
	st.Session = &session.Session{UserID: user.ID, IdleUntil: later, ExpiresAt: later} // as it will be
	w := want{scopes: ask.Scopes, proof: ask.Proof}
	if _, refused := authorizeIssuance(st, byAssertion, w, now); refused != nil {
		return Tokens{}, refused
	}
	// The id is used up only for an assertion that would give something.
	first, err := s.once(ctx, ticket.Assertion, a.expires.Add(endsLate), "grant", a.issuer, a.id)
	if err != nil {
		return Tokens{}, err
	}
	if !first {
		return Tokens{}, refuse(InvalidGrant, "The assertion was used before.")
	}
	sess, _, err := s.Sessions.Start(ctx, session.Login{
		UserID: user.ID, ClientID: c.ID, Seen: ask.Seen, Bind: c.Bind, Most: st.API.Token.Lifetime,
		Guard: &revoke.Guard{RSN: st.RSN, Refs: []revoke.Ref{{Kind: revoke.User, Key: user.ID}, {Kind: revoke.Client, Key: c.ID}}},
	})
	if err != nil {
		return Tokens{}, err
	}
	if st, err = s.Store.Snapshot(ctx, Query{SessionID: sess.ID, ClientID: c.ID, APIID: id}); err != nil {
		return Tokens{}, fmt.Errorf("read state: %w", err)
	}
	scopes, refused := authorizeIssuance(st, byAssertion, w, now)
	if refused != nil {
		return Tokens{}, refused
	}
	return s.mint(ctx, st, minting{scopes: scopes, proof: ask.Proof, now: now})
}

// assertedBy checks an assertion by the keys of an issuer that the client may bring the
// word of.
func (s *Service) assertedBy(ctx context.Context, c client.Client, text string) (assertion, error) {
	bad := refuse(InvalidGrant, "The assertion is not valid.")
	if s.Peers == nil || s.Tickets == nil || !c.MayUse(client.JWTBearer) {
		return assertion{}, refuse(UnauthorizedClient, "The client may not use this grant type.")
	}
	m, err := jose.Parse(text, jose.Limits{Token: mostAssertion})
	if err != nil || !slices.Contains(AssertionAlgs, m.Header.Algorithm) || !slices.Contains(assertionTypes, m.Header.Type) {
		return assertion{}, bad
	}
	unverified, err := readAssertion(m.UnverifiedPayload())
	if err != nil {
		return assertion{}, bad
	}
	at := slices.IndexFunc(c.OAuth.Assertions, func(i client.AssertionIssuer) bool { return i.Issuer == unverified.issuer })
	if at < 0 {
		return assertion{}, bad
	}
	issuer := c.OAuth.Assertions[at]
	keys, err := s.Peers.Find(ctx, peerkeys.Source{JWKS: issuer.JWKS, URI: issuer.JWKSURI}, m.Header.KeyID, m.Header.Algorithm)
	switch {
	case errors.Is(err, peerkeys.ErrNoKey):
		return assertion{}, bad
	case err != nil:
		return assertion{}, ofPeer(err)
	}
	payload := verifiedBy(m, keys)
	if payload == nil {
		return assertion{}, bad
	}
	a, err := readAssertion(payload)
	if err != nil {
		return assertion{}, bad
	}
	if why := a.misgrant(c, issuer.Issuer, s.Issuer, s.Now()); why != "" {
		return assertion{}, refuse(InvalidGrant, "The assertion "+why+".")
	}
	return a, nil
}

// misgrant says what is wrong with the claims of an assertion that is to be turned into
// a token, "" for nothing.
func (a assertion) misgrant(c client.Client, by, issuer string, now time.Time) string {
	switch {
	case a.issuer != by || a.subject == "":
		return "does not say by whom and about whom it is"
	case a.clientID != "" && a.clientID != c.ID:
		return "was made for another client"
	}
	a.issuer, a.subject = c.ID, c.ID // the rest is as for a client's own
	return a.misfit(c, issuer, now)
}

// subjectUser finds the person that an assertion is about.
func (s *Service) subjectUser(ctx context.Context, subject string) (account.User, error) {
	unknown := refuse(InvalidGrant, "The assertion is about nobody who is known here.")
	canonical, err := limit.Canonical(strings.TrimSpace(subject))
	if err != nil || s.Users == nil {
		return account.User{}, unknown
	}
	u, found, err := s.Users.UserByLogin(ctx, canonical)
	if err != nil {
		return account.User{}, fmt.Errorf("find user: %w", err)
	}
	if !found || u.Disabled {
		return account.User{}, unknown
	}
	return u, nil
}
