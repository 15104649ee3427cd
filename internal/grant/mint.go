package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

// minting is what authorizeIssuance allowed, and what else the token says.
type minting struct {
	scopes []string
	proof  Proof
	now    time.Time
	actor  json.RawMessage // act, for a token exchange
	within time.Time       // when not zero: the token does not outlive this
	nonce  string          // of the authorization request, for the ID token
	// grantID is the grant that the token hangs from, when the state has none: that of
	// the token it was exchanged for.
	grantID string
}

// mint makes the access token that authorizeIssuance allowed, in the shape its API
// wants, and beside it the ID token when openid is among the scopes. It is called
// nowhere else but right after that gate.
func (s *Service) mint(ctx context.Context, st State, m minting) (Tokens, error) {
	a := s.claims(st, m)
	var key *jose.Key
	if st.API.Token.Format != api.Opaque {
		var ok bool
		if key, ok = s.Keys.Signer(st.API.ID); !ok {
			return Tokens{}, fmt.Errorf("api %s has no active key", st.API.ID)
		}
	}
	var err error
	if st.API.Token.StatusList {
		if a.Status, err = s.status(ctx, a, st.API, key); err != nil {
			return Tokens{}, err
		}
	}
	body, err := a.Claims()
	if err != nil {
		return Tokens{}, err
	}
	text := ""
	if key == nil {
		text, err = s.storeOpaque(ctx, st, a, body)
	} else {
		text, err = shape(st.API, key, body)
	}
	if err != nil {
		return Tokens{}, err
	}
	out := Tokens{
		AccessToken: text, TokenType: a.Confirm.TokenType(), Scope: a.Scope,
		ExpiresIn: int(a.ExpiresAt.Sub(a.IssuedAt) / time.Second),
	}
	if slices.Contains(m.scopes, oidc.OpenID) && st.User != nil {
		if out.IDToken, err = s.idToken(st, m, text); err != nil {
			return Tokens{}, err
		}
	}
	return out, nil
}

func (s *Service) claims(st State, m minting) token.Access {
	now := m.now.Truncate(time.Second)
	a := token.Access{
		Issuer: s.Issuer, Subject: st.Client.ID, Audience: st.API.Audience(s.Issuer), ClientID: st.Client.ID, Scope: join(m.scopes),
		ID: opaque.ID(opaque.TokenID, now), IssuedAt: now, ExpiresAt: now.Add(s.lifetime(st.API)), RSN: st.RSN,
		Confirm: token.Confirmation(m.proof), Actor: m.actor,
	}
	if st.User != nil {
		a.Subject = st.User.ID
	}
	if st.Session != nil {
		a.SessionID, a.AuthTime, a.ACR, a.AMR = st.Session.ID, st.Session.AuthTime, st.Session.ACR(), st.Session.AMR
		a.Binding = st.Session.Binding
		if end := st.Session.ExpiresAt.Truncate(time.Second); a.ExpiresAt.After(end) {
			a.ExpiresAt = end // no token outlives its session
		}
	}
	if end := m.within.Truncate(time.Second); !m.within.IsZero() && a.ExpiresAt.After(end) {
		a.ExpiresAt = end
	}
	a.GrantID = m.grantID
	if st.Grant != nil {
		a.GrantID = st.Grant.ID
	}
	return a
}

// lifetime is how long a token lives: what its API says, less up to a tenth at
// random. Tokens that were made at the same moment do not all end, and come to be
// renewed, at the same moment.
func (s *Service) lifetime(a *api.API) time.Duration {
	most := a.Token.Lifetime / 10
	if most < time.Second {
		return a.Token.Lifetime
	}
	return a.Token.Lifetime - s.Jitter(most).Truncate(time.Second)
}

// shape signs, and encrypts for an API that wants that.
func shape(to *api.API, key *jose.Key, body []byte) (string, error) {
	signed, err := jose.Sign(key, jose.Header{Type: token.Type}, body)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	if to.Token.Format != api.JWE {
		return signed, nil
	}
	recipient, err := jose.ParseRecipientKey(to.Token.Encrypt.Alg, to.Token.Encrypt.JWK)
	if err != nil {
		return "", fmt.Errorf("read the API's encryption key: %w", err)
	}
	sealed, err := jose.Encrypt(recipient, jose.Header{Type: token.Type}, signed)
	if err != nil {
		return "", fmt.Errorf("encrypt access token: %w", err)
	}
	return sealed, nil
}

func (s *Service) storeOpaque(ctx context.Context, st State, a token.Access, body []byte) (string, error) {
	text, digest := token.NewOpaque()
	t := AccessToken{
		Digest: digest, ID: a.ID, GrantID: a.GrantID, SessionID: a.SessionID, ClientID: a.ClientID,
		APIID: st.API.ID, Claims: body, ExpiresAt: a.ExpiresAt,
	}
	if st.User != nil {
		t.UserID = st.User.ID
	}
	added, err := s.Store.AddToken(ctx, t)
	if err != nil {
		return "", fmt.Errorf("store access token: %w", err)
	}
	if !added {
		return "", session.ErrGone // it ended between the snapshot and now
	}
	return text, nil
}
