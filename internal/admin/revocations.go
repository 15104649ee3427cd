package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Revocation names the one thing to be taken back: exactly one of its members
// but Reason.
type Revocation struct {
	User    string // id or login: every session
	Session string // sid
	Client  string // id: everything it was given
	API     string // id: every token for it
	Token   string // one access token: the token itself, or its jti
	Key     string // kid: every token signed by it, see keyring.Compromised
	Reason  string // a short code for the log; "admin" if empty
	// Once names what asks for this, when it may do so once only: a second time is
	// fault.Conflict and changes nothing. It is remembered for revoke.KeepFor. Not
	// for keys.
	Once string
}

// Revoke takes something back and returns the position of its entry in the log,
// durably written. What is named must exist, except for a session or token with
// a well-formed id: it may have left the store while its tokens live on.
func (s *Service) Revoke(ctx context.Context, by By, r Revocation) (int64, error) {
	reason, err := reasonOf(r.Reason)
	if err != nil {
		return 0, err
	}
	if r.Key != "" && r.named() == 1 {
		return s.revokeKey(ctx, by, r.Key)
	}
	kind, key, err := s.target(ctx, r)
	if err != nil {
		return 0, err
	}
	fx := revoke.Effects{
		Revoke: []revoke.Entry{s.entry(kind, key, reason)},
		Audit:  s.events(by, "revoke."+string(kind), key, []string{reason}),
	}
	if r.Once != "" {
		// What asks is used up like any other token that counts once: by an entry
		// that is refused when it is there already, in the same transaction.
		fx.Revoke = append(fx.Revoke, s.entry(revoke.Token, r.Once, "used once"))
		fx.Guard = &revoke.Guard{Refs: []revoke.Ref{{Kind: revoke.Token, Key: r.Once}}}
	}
	seq, err := s.Store.Record(ctx, fx)
	return seq, wrap(err, "revoke")
}

// reasonOf keeps free text out of the log that every verifier reads.
func reasonOf(reason string) (string, error) {
	if reason == "" {
		return "admin", nil
	}
	if len(reason) > 40 || strings.Trim(reason, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
		return "", fault.New(fault.Invalid, "The reason is a short code: at most 40 lower-case letters, digits, '_', '-' and '.'.")
	}
	return reason, nil
}

func (r Revocation) named() int {
	n := 0
	for _, v := range []string{r.User, r.Session, r.Client, r.API, r.Token, r.Key} {
		if v != "" {
			n++
		}
	}
	return n
}

func (s *Service) target(ctx context.Context, r Revocation) (revoke.Kind, string, error) {
	if r.named() != 1 {
		return "", "", fault.New(fault.Invalid, "Name exactly one of user, session, client, api, token and key.")
	}
	switch {
	case r.User != "":
		u, err := s.findUser(ctx, r.User)
		return revoke.User, u.ID, err
	case r.Session != "":
		if !opaque.IsID(opaque.SessionID, r.Session) {
			return "", "", fault.New(fault.Invalid, "This is not a session id. It begins with ses_.")
		}
		return revoke.Session, r.Session, nil
	case r.Client != "":
		c, err := s.findClient(ctx, r.Client)
		return revoke.Client, c.ID, err
	case r.API != "":
		a, err := s.findAPI(ctx, r.API)
		return revoke.API, a.ID, err
	}
	jti, err := s.tokenID(ctx, r.Token)
	return revoke.Token, jti, err
}

// tokenID finds the jti of an access token of ours, expired or not.
func (s *Service) tokenID(ctx context.Context, text string) (string, error) {
	if opaque.IsID(opaque.TokenID, text) {
		return text, nil
	}
	if payload, jti, ok := s.signedTokenID(text); ok {
		return jti, s.endStatus(ctx, payload)
	}
	if s.Tokens != nil && len(text) <= 8<<10 {
		jti, found, err := s.Tokens(ctx, opaque.Hash(text))
		if err != nil {
			return "", fmt.Errorf("find opaque token: %w", err)
		}
		if found {
			return jti, nil
		}
	}
	return "", fault.New(fault.Invalid, "This is neither an access token of this server nor the id of one. An encrypted token is named by its id (jti).")
}

// endStatus takes back the place in a status list that a token of ours shares with
// others of its session, before the log names the token alone.
func (s *Service) endStatus(ctx context.Context, payload []byte) error {
	if s.Statuses == nil {
		return nil
	}
	a, err := token.ParseClaims(payload)
	if err != nil || !a.SharesStatus() {
		return nil // not a token with a place, whatever else it is
	}
	return s.Statuses.End(ctx, statuslist.Ref(a.Status))
}

// signedTokenID reads the jti of a token whose signature is ours.
func (s *Service) signedTokenID(text string) (payload []byte, jti string, ok bool) {
	m, err := jose.Parse(text, jose.Limits{})
	if err != nil {
		return nil, "", false
	}
	key, _, ok := s.Keys.Verifier(m.Header.KeyID)
	if !ok {
		return nil, "", false
	}
	payload, err = m.Verify(key)
	if err != nil {
		return nil, "", false
	}
	members, err := jose.Members(payload)
	if err != nil {
		return nil, "", false
	}
	for _, member := range members {
		if member.Name != "jti" {
			continue
		}
		jti, err := jose.String(member.Value)
		return payload, jti, err == nil && jti != "" && len(jti) <= 200
	}
	return nil, "", false
}

// revokeKey removes a key that somebody else may have.
func (s *Service) revokeKey(ctx context.Context, by By, kid string) (int64, error) {
	if !by.all() && !covers(by.Scopes, []string{"keys:write"}) {
		return 0, s.forbid(ctx, by, kid, "This needs the scope keys:write too.")
	}
	if err := s.Keys.Retire(ctx, kid, by.Actor, keyring.Compromised); err != nil {
		return 0, err
	}
	seq, err := s.Store.Head(ctx)
	return seq, wrap(err, "read the head of the log")
}
