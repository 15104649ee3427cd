package grant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Keys is what a Service needs of the keyring.
type Keys interface {
	Signer(apiID string) (*jose.Key, bool)
	Find(ctx context.Context, kid string) (key *jose.Key, apiID string, ok bool, err error)
}

// Log is what a Service needs of the revocation log.
type Log interface {
	Record(ctx context.Context, fx revoke.Effects) (int64, error)
	Covered(ctx context.Context, rsn int64, refs []revoke.Ref) (revoke.Recorded, bool, error)
}

// Statuses gives tokens their places in status lists. See statuslist.Service.
type Statuses interface {
	Assign(ctx context.Context, h statuslist.Holder, rsn int64, ends time.Time) (statuslist.Ref, error)
	End(ctx context.Context, r statuslist.Ref) error
}

// Config is what a Service is made of. All fields down to Now are needed.
type Config struct {
	Store    Store
	Log      Log
	Sessions *session.Keeper
	Keys     Keys
	Refresh  token.RefreshKey
	Secrets  *opaque.Key // the key of client secret codes: MAC("client", id, secret)
	Issuer   string
	Now      func() time.Time
	Window   time.Duration // in which a replayed refresh token gives the same successor; default 60 s
	Family   time.Duration // the longest a refresh family may live; default: as long as its session
	// Jitter picks a time below most, by which a token lives shorter. Default: at
	// random.
	Jitter func(most time.Duration) time.Duration
	// Statuses is for the tokens of APIs that want status lists. Without it those
	// are not minted.
	Statuses Statuses
	// Codes makes and reads authorization codes. Without it there are none.
	Codes token.CodeKey
	// Users finds whom an assertion is about. Without it no assertion gives a token.
	Users Users
	// Peers has the keys of clients. Without it no client proves itself by one.
	Peers PeerKeys
	// Tickets remembers the ids of assertions and proofs. Without it none is taken.
	Tickets Seen
	// IssuerKey returns the key by which the issuer signs for its clients: ID tokens,
	// userinfo, introspection. Without it those are not made.
	IssuerKey func(alg jose.Algorithm) (*jose.Key, bool)
	// Devices keeps what devices ask for, and UserCodes keys the digests of the codes
	// that people type: so short a code could be found by trying. Without them there is
	// no device flow.
	Devices   DeviceStore
	UserCodes *opaque.Key
}

// Service hands out, looks into and takes back tokens.
type Service struct {
	Config
	headers    jose.Headers // of the keys that sign
	recognized recognized
}

// New returns a service.
func New(c Config) *Service {
	if c.Window == 0 {
		c.Window = 60 * time.Second
	}
	if c.Jitter == nil {
		c.Jitter = rand.N[time.Duration]
	}
	return &Service{Config: c}
}

// Ask is what a caller wants a token for. API is an API's id, "management", the
// management audience, or "" for the client's only API. No Scopes: all that may
// be given.
type Ask struct {
	ClientID string
	API      string
	Scopes   []string
	Proof    Proof
}

func (a Ask) want() want { return want{scopes: a.Scopes, proof: a.Proof} }

// Tokens is what is handed out (RFC 6749 section 5.1).
type Tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope"`
	// IssuedType says what a token exchange gave (RFC 8693 section 2.2.1).
	IssuedType string `json:"issued_token_type,omitempty"`
}

// apiID resolves what a caller called an API.
func (s *Service) apiID(ctx context.Context, ask Ask) (string, error) {
	if ask.API != "" {
		return api.Named(s.Issuer, ask.API), nil
	}
	st, err := s.Store.Snapshot(ctx, Query{ClientID: ask.ClientID})
	if err != nil {
		return "", fmt.Errorf("read client: %w", err)
	}
	if st.Client == nil {
		return "", refuse(InvalidClient, "The client is unknown or disabled.")
	}
	if len(st.Client.APIs) != 1 {
		return "", refuse(InvalidTarget, "Name the API: the client is registered for none or several.")
	}
	for id := range st.Client.APIs {
		return id, nil
	}
	return "", nil
}

// ClientCredentials gives a client a token of its own (RFC 6749 section 4.4).
func (s *Service) ClientCredentials(ctx context.Context, c client.Client, ask Ask) (Tokens, error) {
	ask.ClientID = c.ID
	id, err := s.apiID(ctx, ask)
	if err != nil {
		return Tokens{}, err
	}
	st, err := s.Store.Snapshot(ctx, Query{ClientID: c.ID, APIID: id})
	if err != nil {
		return Tokens{}, fmt.Errorf("read state: %w", err)
	}
	now := s.Now()
	scopes, refused := authorizeIssuance(st, byClient, ask.want(), now)
	if refused != nil {
		return Tokens{}, refused
	}
	return s.mint(ctx, st, minting{scopes: scopes, proof: ask.Proof, now: now})
}

// Swap gives the holder of a session cookie a token for an API. It has no
// refresh token: the session is what renews it.
func (s *Service) Swap(ctx context.Context, secret string, ask Ask) (Tokens, error) {
	if !session.WellFormed(secret) {
		return Tokens{}, session.ErrGone
	}
	id, err := s.apiID(ctx, ask)
	if err != nil {
		return Tokens{}, err
	}
	st, err := s.Store.Snapshot(ctx, Query{SessionSecret: opaque.Hash(secret), ClientID: ask.ClientID, APIID: id})
	if err != nil {
		return Tokens{}, fmt.Errorf("read state: %w", err)
	}
	now := s.Now()
	if st.Session == nil || !st.Session.Live(now) {
		return Tokens{}, session.ErrGone
	}
	scopes, refused := authorizeIssuance(st, bySwap, ask.want(), now)
	if refused != nil {
		return Tokens{}, refused
	}
	s.Sessions.Touch(st.Session, now)
	return s.mint(ctx, st, minting{scopes: scopes, proof: ask.Proof, now: now})
}

// SignIn starts a session for a user who has just proved who they are, and opens
// a grant for the client that asked. Whether the client may have what it asks for
// is decided before the session exists.
func (s *Service) SignIn(ctx context.Context, u account.User, l session.Login, ask Ask) (session.Session, string, Tokens, error) {
	none := func(err error) (session.Session, string, Tokens, error) {
		return session.Session{}, "", Tokens{}, err
	}
	if ask.ClientID == "" {
		return none(fault.New(fault.Invalid, "client_id is missing."))
	}
	id, err := s.apiID(ctx, ask)
	if err != nil {
		return none(err)
	}
	st, err := s.Store.Snapshot(ctx, Query{UserID: u.ID, ClientID: ask.ClientID, APIID: id})
	if err != nil {
		return none(fmt.Errorf("read state: %w", err))
	}
	now := s.Now()
	later := now.Add(time.Minute)
	st.Session = &session.Session{UserID: u.ID, IdleUntil: later, ExpiresAt: later} // as it will be
	if _, refused := authorizeIssuance(st, bySignIn, ask.want(), now); refused != nil {
		return none(refused)
	}
	l.UserID, l.ClientID, l.Bind = u.ID, ask.ClientID, st.Client.Bind
	sess, secret, err := s.Sessions.Start(ctx, l)
	if err != nil {
		return none(err)
	}
	t, err := s.open(ctx, sess, opening{ask: ask, apiID: id, by: bySignIn})
	if err != nil {
		return none(err)
	}
	return sess, secret, t, nil
}

// opening is what the first token of a new session is for.
type opening struct {
	ask   Ask
	apiID string
	by    path
}

// open mints the first token of a session for a client, with a refresh family
// when the client may have one.
func (s *Service) open(ctx context.Context, sess session.Session, o opening) (Tokens, error) {
	ask, apiID := o.ask, o.apiID
	st, err := s.Store.Snapshot(ctx, Query{SessionID: sess.ID, ClientID: ask.ClientID, APIID: apiID})
	if err != nil {
		return Tokens{}, fmt.Errorf("read state: %w", err)
	}
	now := s.Now()
	scopes, refused := authorizeIssuance(st, o.by, ask.want(), now)
	if refused != nil {
		return Tokens{}, refused
	}
	if !st.Client.MayUse(client.RefreshToken) {
		return s.mint(ctx, st, minting{scopes: scopes, proof: ask.Proof, now: now})
	}
	st.Grant = &Grant{
		ID: opaque.ID(opaque.GrantID, now), SessionID: sess.ID, UserID: sess.UserID, ClientID: ask.ClientID, APIID: apiID,
		Scopes: scopes, CreatedAt: now, ExpiresAt: s.familyEnd(sess, now), Gen: 1, RotatedAt: now,
	}
	st.Grant.Details.Consented = o.by == byDevice
	st.Grant.Details.JKT, st.Grant.Details.X5T = holder(*st.Client, ask.Proof)
	added, err := s.Store.AddGrant(ctx, *st.Grant, revoke.Effects{Guard: &revoke.Guard{RSN: st.RSN, Refs: []revoke.Ref{
		{Kind: revoke.Client, Key: ask.ClientID}, {Kind: revoke.API, Key: apiID},
	}}})
	if err != nil {
		return Tokens{}, fmt.Errorf("add grant: %w", err)
	}
	if !added {
		return Tokens{}, session.ErrGone
	}
	t, err := s.mint(ctx, st, minting{scopes: scopes, proof: ask.Proof, now: now})
	if err != nil {
		return Tokens{}, err
	}
	t.RefreshToken = s.Config.Refresh.Encode(st.Grant.ID, st.Grant.Gen)
	return t, nil
}

// familyEnd never passes the end of the session (RFC 10017): refreshing extends
// nothing.
func (s *Service) familyEnd(sess session.Session, now time.Time) time.Time {
	if s.Family > 0 && now.Add(s.Family).Before(sess.ExpiresAt) {
		return now.Add(s.Family)
	}
	return sess.ExpiresAt
}

func join(scopes []string) string { return strings.Join(scopes, " ") }
