package grant

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

// held is an access token that was recognized: ours, unchanged, and what it says.
// Whether it is still good is alive's business.
type held struct {
	token.Access
	apiID string
	keyID string // "" for opaque tokens
}

// read recognizes an access token in any shape but encrypted ones, which only
// their API can open. ok is false for everything else; err is for broken parts.
func (s *Service) read(ctx context.Context, text string) (h held, ok bool, err error) {
	if token.IsOpaque(text) {
		return s.readOpaque(ctx, text)
	}
	digest := sha256.Sum256([]byte(text))
	if c, known := s.recognized.take(digest); known {
		// The same key must be there still: it may have been removed meanwhile.
		key, _, found, err := s.Keys.Find(ctx, c.held.keyID)
		if err != nil {
			return held{}, false, err
		}
		if found && key == c.key {
			return c.held, true, nil
		}
	}
	m, err := s.headers.Parse(text, jose.Limits{})
	if err != nil || m.Header.Type != token.Type {
		return held{}, false, nil
	}
	key, apiID, found, err := s.Keys.Find(ctx, m.Header.KeyID)
	if err != nil {
		return held{}, false, err
	}
	if !found {
		return held{}, false, nil
	}
	body, err := m.Verify(key)
	if err != nil {
		return held{}, false, nil
	}
	a, err := token.ParseClaims(body)
	if err != nil || a.Issuer != s.Issuer || a.Audience != (api.API{ID: apiID}).Audience(s.Issuer) {
		return held{}, false, nil
	}
	h = held{Access: a, apiID: apiID, keyID: m.Header.KeyID}
	s.recognized.put(digest, checked{h, key})
	return h, true, nil
}

func (s *Service) readOpaque(ctx context.Context, text string) (held, bool, error) {
	t, found, err := s.Store.TokenByDigest(ctx, opaque.Hash(text))
	if err != nil {
		return held{}, false, fmt.Errorf("find access token: %w", err)
	}
	if !found {
		return held{}, false, nil
	}
	a, err := token.ParseClaims(t.Claims)
	if err != nil {
		return held{}, false, err
	}
	return held{Access: a, apiID: t.APIID}, true, nil
}

// refs are the things a token hangs from.
func (h held) refs() []revoke.Ref {
	refs := []revoke.Ref{{Kind: revoke.Token, Key: h.ID}, {Kind: revoke.Client, Key: h.ClientID}, {Kind: revoke.API, Key: h.apiID}}
	if h.keyID != "" {
		refs = append(refs, revoke.Ref{Kind: revoke.Key, Key: h.keyID})
	}
	if h.GrantID != "" {
		refs = append(refs, revoke.Ref{Kind: revoke.Grant, Key: h.GrantID})
	}
	if h.SessionID != "" {
		refs = append(refs, revoke.Ref{Kind: revoke.Session, Key: h.SessionID},
			revoke.Ref{Kind: revoke.User, Key: h.Subject}, revoke.Ref{Kind: revoke.Claims, Key: h.Subject})
	}
	return refs
}

// The reasons for which a recognized token is not good any more.
const (
	whyExpired = "expired"
	whySession = "session ended"
	whyUser    = "user disabled or removed"
	whyClient  = "client disabled or removed"
	whyAPI     = "API disabled or removed"
	whyRevoked = "revoked"
)

// alive returns "" for a token that is good now, else the reason.
func (s *Service) alive(ctx context.Context, h held, now time.Time) (why string, err error) {
	st, err := s.Store.Snapshot(ctx, Query{SessionID: h.SessionID, ClientID: h.ClientID, APIID: h.apiID})
	if err != nil {
		return "", fmt.Errorf("read state: %w", err)
	}
	return s.judge(ctx, st, h, now)
}

// stateOf is what alive reads, and the grant of the token when that is of the same
// client and API: one look for both.
func (s *Service) stateOf(ctx context.Context, h held) (State, error) {
	if h.GrantID != "" {
		st, err := s.Store.Snapshot(ctx, Query{GrantID: h.GrantID})
		if err != nil {
			return State{}, fmt.Errorf("read state: %w", err)
		}
		g := st.Grant
		if g != nil && g.SessionID == h.SessionID && g.ClientID == h.ClientID && g.APIID == h.apiID && g.UserID == h.Subject {
			return st, nil
		}
	}
	st, err := s.Store.Snapshot(ctx, Query{SessionID: h.SessionID, ClientID: h.ClientID, APIID: h.apiID})
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	return st, nil
}

// judge is alive for a state that was read.
func (s *Service) judge(ctx context.Context, st State, h held, now time.Time) (why string, err error) {
	switch {
	case !now.Before(h.ExpiresAt):
		return whyExpired, nil
	case st.Client == nil || st.Client.Disabled:
		return whyClient, nil
	case st.API == nil || st.API.Disabled:
		return whyAPI, nil
	case h.SessionID == "":
	case st.Session == nil || !st.Session.Live(now) || st.Session.UserID != h.Subject:
		return whySession, nil
	case st.User == nil || st.User.Disabled:
		return whyUser, nil
	}
	entry, covered, err := s.Log.Covered(ctx, h.RSN, h.refs())
	if err != nil {
		return "", fmt.Errorf("read revocation log: %w", err)
	}
	if covered {
		return whyRevoked + ": " + string(entry.Kind) + " " + entry.Reason, nil
	}
	return "", nil
}

// checks reports whether a client may ask about other clients' credentials for
// an API: it holds the management scope, and the API is one it serves.
func checks(c client.Client, apiID string) bool {
	if !allows(c.APIs[api.Management], "sessions:check") {
		return false
	}
	return len(c.Serves) == 0 || slices.Contains(c.Serves, apiID)
}
