package memory

import (
	"bytes"
	"maps"
	"slices"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/ticket"
)

// Every value is copied on its way in and on its way out, so that what a caller
// does to it stays with the caller.

func userCopy(u account.User) account.User {
	u.Roles, u.Profile = slices.Clone(u.Roles), u.Profile.Clone()
	u.PasswordChangedAt, u.CreatedAt, u.UpdatedAt = when(u.PasswordChangedAt), when(u.CreatedAt), when(u.UpdatedAt)
	return u
}

func clientCopy(c client.Client) client.Client {
	c.RedirectURIs, c.Origins, c.Grants = slices.Clone(c.RedirectURIs), slices.Clone(c.Origins), slices.Clone(c.Grants)
	c.APIs, c.Serves, c.OAuth = scopesCopy(c.APIs), slices.Clone(c.Serves), c.OAuth.Clone()
	if !c.OldSecretUntil.IsZero() {
		c.OldSecretUntil = when(c.OldSecretUntil)
	}
	c.CreatedAt, c.UpdatedAt = when(c.CreatedAt), when(c.UpdatedAt)
	return c
}

func apiCopy(a api.API) api.API {
	a.Scopes = slices.Clone(a.Scopes)
	if a.Token.Encrypt != nil {
		e := *a.Token.Encrypt
		e.JWK = bytes.Clone(e.JWK)
		a.Token.Encrypt = &e
	}
	a.CreatedAt, a.UpdatedAt = when(a.CreatedAt), when(a.UpdatedAt)
	return a
}

func roleCopy(r role.Role) role.Role {
	r.Scopes = scopesCopy(r.Scopes)
	r.CreatedAt, r.UpdatedAt = when(r.CreatedAt), when(r.UpdatedAt)
	return r
}

func scopesCopy(m map[string][]string) map[string][]string {
	m = maps.Clone(m)
	for k, v := range m {
		m[k] = slices.Clone(v)
	}
	return m
}

func sessionCopy(s session.Session) session.Session {
	s.AMR = slices.Clone(s.AMR)
	s.CreatedAt, s.AuthTime, s.SeenAt = when(s.CreatedAt), when(s.AuthTime), when(s.SeenAt)
	s.IdleUntil, s.ExpiresAt = when(s.IdleUntil), when(s.ExpiresAt)
	return s
}

func grantCopy(g grant.Grant) grant.Grant {
	g.Scopes = slices.Clone(g.Scopes)
	if g.Details.Claims != nil {
		c := *g.Details.Claims
		c.IDToken, c.Userinfo, c.ACR = some(c.IDToken), some(c.Userinfo), some(c.ACR)
		g.Details.Claims = &c
	}
	g.CreatedAt, g.ExpiresAt, g.RotatedAt = when(g.CreatedAt), when(g.ExpiresAt), when(g.RotatedAt)
	return g
}

// some is a copy of a list that is nil when it has nothing.
func some[T any](l []T) []T { return append([]T(nil), l...) }

func ticketCopy(t ticket.Ticket) ticket.Ticket {
	t.Body, t.ExpiresAt = some(t.Body), when(t.ExpiresAt)
	return t
}

func consentCopy(c consent.Consent) consent.Consent {
	c.Scopes = some(c.Scopes)
	c.GivenAt, c.UpdatedAt = when(c.GivenAt), when(c.UpdatedAt)
	return c
}

func tokenCopy(t grant.AccessToken) grant.AccessToken {
	t.Claims = some(t.Claims)
	t.ExpiresAt = when(t.ExpiresAt)
	return t
}

func keyCopy(k keyring.Record) keyring.Record {
	k.Public, k.Sealed = bytes.Clone(k.Public), bytes.Clone(k.Sealed)
	k.CreatedAt, k.ActiveAt, k.RetiredAt = when(k.CreatedAt), when(k.ActiveAt), when(k.RetiredAt)
	k.RemovedAt, k.ReadAt = when(k.RemovedAt), when(k.ReadAt)
	return k
}

func entryCopy(e revoke.Entry) revoke.Entry {
	e.At, e.KeepUntil = when(e.At), when(e.KeepUntil)
	return e.Named("") // with clients of its own, as they are kept
}

func recordedCopy(r revoke.Recorded) revoke.Recorded {
	r.Clients = slices.Clone(r.Clients)
	return r
}

func verifierCopy(v feed.Verifier) feed.Verifier {
	v.Registered, v.Seen, v.Note.ID = when(v.Registered), when(v.Seen), v.ID
	return v
}

func eventCopy(e audit.Event) audit.Event {
	e.At = when(e.At)
	return e
}
