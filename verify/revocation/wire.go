package revocation

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Kind says what an entry takes back, and so what its key was made of.
type Kind byte

// The kinds. None is a position of the log whose entry nobody needs any more.
const (
	None    Kind = iota
	Token        // one access token: jti
	Session      // one login and all that hangs from it: sid
	Grant        // one refresh family and its access tokens: grant_id
	User         // all that a user has: sub
	Claims       // a user's roles changed: tokens are made anew, sessions asked about again: sub
	Client       // all that was given to a client: client_id
	API          // every access token for an API: its id, which is its audience
	SignKey      // every token signed by a key: kid
	kinds
)

// Always reports whether entries of the kind cover credentials of whatever rsn.
func (k Kind) Always() bool { return k == Token || k == SignKey }

// Position is a place in the issuer's log. Epochs rise when entries that had been
// acknowledged may be lost; within one, positions are dense.
type Position struct {
	Epoch, Seq int64
}

// String gives "epoch:seq", as it stands in Last-Event-ID.
func (p Position) String() string {
	return strconv.FormatInt(p.Epoch, 10) + ":" + strconv.FormatInt(p.Seq, 10)
}

// ParsePosition reads what String writes, and nothing else.
func ParsePosition(s string) (Position, error) {
	e, q, ok := strings.Cut(s, ":")
	if !ok {
		return Position{}, fmt.Errorf("%w: position without a colon", ErrWire)
	}
	var p Position
	var err error
	if p.Epoch, err = strconv.ParseInt(e, 10, 64); err == nil {
		p.Seq, err = strconv.ParseInt(q, 10, 64)
	}
	if err != nil || p.Epoch < 0 || p.Seq < 0 || p.String() != s {
		return Position{}, fmt.Errorf("%w: position out of form", ErrWire)
	}
	return p, nil
}

// Event is one entry of the log as verifiers see it: no names, only a keyed hash.
type Event struct {
	Kind      Kind
	Key       uint64 // Secret.Key of the kind and what it names; 0 for None
	KeepUntil int64  // seconds since 1970: no covered credential can be shown after; 0 for None
}

// Frame is a run of entries. It is a signed fact: the same whoever passes it on.
type Frame struct {
	Issuer   string
	Epoch    int64
	From, To int64   // the first and the last position; To = From + len(Events) - 1
	IssuedAt int64   // seconds since 1970; for people, nothing rests on it
	Events   []Event // Events[i] stands at position From+i
}

// Registration is how a verifier makes itself known, once for each start.
type Registration struct {
	Name     string `json:"name"`               // for people: host and process
	Audience string `json:"audience,omitempty"` // the API it checks for
	Policy   string `json:"policy,omitempty"`   // strict, degrade or open: what it does when its lease has run out
	Version  string `json:"version,omitempty"`  // of the library
	Relay    bool   `json:"relay,omitempty"`    // it passes the feed on to others
}

// Registered is the hub's answer. It was recorded durably before it was given,
// so whoever waits for all verifiers waits for this one too.
type Registered struct {
	Verifier string `json:"verifier"`  // the id of this start of the verifier
	Ticket   string `json:"ticket"`    // the bearer token for the rest of the feed, at any hub
	LeaseKey []byte `json:"lease_key"` // 32 bytes: the HMAC-SHA256 key of lease answers
	Secret   []byte `json:"secret"`    // 16 bytes: see Secret
	Epoch    int64  `json:"epoch"`
	Head     int64  `json:"head"`
	RenewMS  int64  `json:"renew_ms"` // how often to renew
	LeaseMS  int64  `json:"lease_ms"` // how long an answer may be relied on: L
}

// Use tells the issuer that a session was used where the issuer did not see it.
type Use struct {
	SessionID string `json:"sid"`
	AgoMS     int64  `json:"ago_ms"`
}

// Ask renews the lease, tells what was applied, and asks for what is missing.
type Ask struct {
	Nonce    string `json:"nonce"` // fresh for each; comes back in the answer
	Epoch    int64  `json:"epoch"`
	Applied  int64  `json:"applied"`
	Evidence string `json:"evidence,omitempty"` // the last frame applied, as it was signed: proof that the log came this far
	AsOfMS   int64  `json:"as_of_ms"`           // how stale the verifier was when it asked, for the list of verifiers; -1 before the first lease
	Entries  int    `json:"entries"`            // how many it holds, for the same list
	Uses     []Use  `json:"uses,omitempty"`
	Acks     []Ack  `json:"acks,omitempty"` // from a relay: how far those behind it have come
}

// Ack is what a relay passes on of one verifier's Ask, so that whoever waits for
// all verifiers hears of this one.
type Ack struct {
	Verifier string `json:"verifier"`
	Epoch    int64  `json:"epoch"`
	Applied  int64  `json:"applied"`
	AsOfMS   int64  `json:"as_of_ms"`
	Entries  int    `json:"entries"`
	Uses     []Use  `json:"uses,omitempty"`
	Proof    string `json:"proof"` // of knowing the verifier's lease key: a relay speaks only for those that came through it
}

// Answer is a lease. On the wire it is a compact JWS, typ LeaseType, HS256 with
// the lease key of the one verifier it is for.
type Answer struct {
	Verifier string   `json:"verifier"`
	Nonce    string   `json:"nonce"`
	Epoch    int64    `json:"epoch"`
	Head     int64    `json:"head"`             // the last position there was when the hub last looked
	AgeMS    int64    `json:"age_ms"`           // how long before this answer the hub began to look, rounded up
	Frames   []string `json:"frames,omitempty"` // what comes after Applied, as far as it fits
	Resync   bool     `json:"resync,omitempty"` // Applied cannot be continued from: fetch a snapshot
	RenewMS  int64    `json:"renew_ms"`         // how often to renew from now on
	LeaseMS  int64    `json:"lease_ms"`         // as in Registered
	Gone     []string `json:"gone,omitempty"`   // to a relay: verifiers of Ask.Acks that are not known (any more)
	KeySet   string   `json:"jwks,omitempty"`   // names the issuer's /.well-known/jwks.json of now; only a hint
}

// Types of the signed things (RFC 8725 section 3.11): none passes for another.
const (
	FrameType    = "secevent+jwt" // RFC 8417 section 2.3
	LeaseType    = "wafer-lease+jwt"
	TicketType   = "wafer-ticket+jwt"
	SnapshotType = "wafer-snapshot+jwt"
)

// EventType names the one event of a frame.
const EventType = "https://wafer-auth.org/event-type/revocations"

// Hub is what a Feed follows. Remote is the one over HTTP. An error that matches
// ErrRefused means that the verifier is not known or not wanted (any more): it
// registers again. Any other error means that nobody knows.
type Hub interface {
	// Keys returns the public keys that sign frames. They come from the issuer
	// itself, whoever passes the frames on.
	Keys(ctx context.Context) (jose.KeySet, error)
	// Register makes the verifier known.
	Register(ctx context.Context, r Registration) (Registered, error)
	// Renew asks for a lease; the answer is still sealed.
	Renew(ctx context.Context, ticket string, ask Ask) (answer string, err error)
	// Follow hands every frame after a position to deliver, as signed, in order
	// as far as the way allows, until ctx ends, the connection breaks, or deliver
	// returns an error. eager is set when somebody waits for an ack, or there is
	// another key set: renew at once. The frame is "" when there is none to hand on.
	Follow(ctx context.Context, ticket string, after Position, deliver func(frame string, eager bool) error) error
	// Snapshot returns all that is kept at some position not below at least.
	Snapshot(ctx context.Context, ticket string, least Position) ([]byte, error)
	// Leave tells that the verifier has stopped: nobody waits for it any more.
	Leave(ctx context.Context, ticket string) error
}
