package statuslist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Type is the typ of a signed list (section 5.1).
const Type = "statuslist+jwt"

// Path is where lists are, below the issuer.
const Path = "/status-lists"

// Defaults for Config.
const (
	DefaultWindow = time.Hour
	DefaultTTL    = 10 * time.Second
	DefaultValid  = 10 * time.Minute
)

// Config is what a Service is made of. All fields but the last three are needed.
type Config struct {
	Store  Store
	Issuer string
	Key    *opaque.Key // orders the lists and names them
	// Signer returns the key that signs lists. Its public half must stand in the
	// issuer's key set.
	Signer func() (*jose.Key, bool)
	Now    func() time.Time
	// Window is how much apart the tokens of one list may end, and how long
	// tokens of a session share an index at most. It must not change while there
	// are lists.
	Window time.Duration
	// TTL is how long verifiers are told to keep a list before they ask again.
	TTL time.Duration
	// Valid is how long a list may be relied upon when no newer one can be had:
	// longer than Valid nobody can be kept from learning of a revocation.
	Valid time.Duration
}

// Service gives tokens their index and publishes the lists. It is safe for
// concurrent use; any number of nodes may have one over one store.
type Service struct {
	Config
	orders    sync.Map // list id -> *permutation
	refreshes flight
	lists     map[string]*list // of the refresh under way
	published atomic.Pointer[shelf]
	missed    atomic.Int64 // when a list was last looked for that was not there, in nanoseconds since 1970
}

// Document is a list as it is sent.
type Document struct {
	Text   string // the signed list, a compact JWS
	ETag   string
	MaxAge time.Duration // how long it may be kept, from Made
	Made   time.Time     // when we began to read what is in it
}

type shelf struct {
	documents map[string]*Document
	uris      []string
}

// New returns a service that has published nothing yet.
func New(c Config) *Service {
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Valid == 0 {
		c.Valid = DefaultValid
	}
	s := &Service{Config: c, lists: map[string]*list{}}
	s.published.Store(&shelf{})
	return s
}

// Ref is where a token's status is found: the claim status.status_list.
type Ref struct {
	URI   string
	Index int
}

// ErrEnded means that the log holds an entry that covers the token which was
// about to be minted: its state was read too early.
var ErrEnded = errors.New("what allowed the token was taken back meanwhile")

// Assign returns where the status of a token stands that is about to be signed.
// rsn is the token's, and ends its end. ErrEnded means that it must not be signed.
func (s *Service) Assign(ctx context.Context, h Holder, rsn int64, ends time.Time) (Ref, error) {
	now := s.Now()
	slot, given, err := s.Store.AssignStatus(ctx, Request{
		Holder: h, RSN: rsn, Ends: s.windowEnd(ends), Capacity: capacity, NewList: s.newID(), Now: now,
	})
	if err != nil {
		return Ref{}, fmt.Errorf("assign status: %w", err)
	}
	if !given {
		return Ref{}, ErrEnded
	}
	return Ref{URI: s.uri(slot.List), Index: s.order(slot.List).index(slot.N)}, nil
}

// End takes an index back for good, for all tokens that have it: to be called
// before a token of a session is taken back by itself, which the log alone cannot
// say of an index. The zero Ref, and an index that is not known, are left alone.
func (s *Service) End(ctx context.Context, r Ref) error {
	id, ok := strings.CutPrefix(r.URI, s.uri(""))
	if !ok || !s.ours(id) || r.Index < 0 || r.Index >= Size {
		return nil
	}
	_, err := s.Store.EndStatus(ctx, Slot{List: id, N: s.order(id).number(r.Index)})
	if err != nil {
		return fmt.Errorf("end status: %w", err)
	}
	return nil
}

// windowEnd is the end of the window that holds t.
func (s *Service) windowEnd(t time.Time) time.Time {
	window := int64(s.Window / time.Second)
	return time.Unix((t.Unix()+window-1)/window*window, 0).UTC()
}

func (s *Service) uri(id string) string { return s.Issuer + Path + "/" + id }

const (
	idLength   = 16 // random, as text
	codeLength = 8
)

// newID names a list. The name carries a code, so that nobody can have us look for
// names that they made up.
func (s *Service) newID() string {
	random := opaque.Text(12)
	return random + s.code(random)
}

func (s *Service) code(random string) string {
	mac := s.Key.MAC("name", random)
	return jose.EncodeSegment(mac[:6])
}

func (s *Service) ours(id string) bool {
	if len(id) != idLength+codeLength {
		return false
	}
	return opaque.Hash(s.code(id[:idLength])).Equal(opaque.Hash(id[idLength:]))
}

func (s *Service) order(id string) *permutation {
	if p, ok := s.orders.Load(id); ok {
		return p.(*permutation)
	}
	p, _ := s.orders.LoadOrStore(id, newPermutation(s.Key, id))
	return p.(*permutation)
}

// lookEvery is the shortest time between two looks for lists that are not there:
// the names of lists that are over cause no more than that.
const lookEvery = 200 * time.Millisecond

// Published returns a list by its id. One that another node has opened a moment
// ago is made now. found is false when there is none. An error of code
// fault.Unavailable means that nobody can tell just now, or that a list could not
// be renewed for too long to be relied upon.
func (s *Service) Published(ctx context.Context, id string) (d *Document, found bool, err error) {
	if d = s.published.Load().documents[id]; d == nil && s.ours(id) {
		if err := s.look(ctx); err != nil {
			return nil, false, err
		}
		d = s.published.Load().documents[id]
	}
	if d == nil {
		return nil, false, nil
	}
	if !s.Now().Before(d.Made.Add(s.Valid)) {
		return nil, false, errLater
	}
	return d, true, nil
}

var errLater = fault.New(fault.Unavailable, "The status list is not at hand. Try again.").Retry(time.Second)

func (s *Service) look(ctx context.Context) error {
	now, last := s.Now().UnixNano(), s.missed.Load()
	if now < last+int64(lookEvery) || !s.missed.CompareAndSwap(last, now) {
		return errLater
	}
	return s.Refresh(ctx)
}

// URIs returns the addresses of all lists (section 9).
func (s *Service) URIs() []string { return s.published.Load().uris }

// claims is the payload of a signed list (section 5.1).
type claims struct {
	Subject   string     `json:"sub"`
	IssuedAt  int64      `json:"iat"`
	ExpiresAt int64      `json:"exp"`
	TTL       int64      `json:"ttl"`
	List      statusList `json:"status_list"`
}

type statusList struct {
	Bits        int    `json:"bits"`
	List        string `json:"lst"`
	Aggregation string `json:"aggregation_uri,omitempty"`
}

// sign makes a list's document. at is when we began to read what is in it.
func (s *Service) sign(l *list, at time.Time) (*Document, error) {
	key, ok := s.Signer()
	if !ok {
		return nil, errors.New("there is no key to sign status lists with")
	}
	body, err := json.Marshal(claims{
		Subject: s.uri(l.id), IssuedAt: at.Unix(), ExpiresAt: at.Add(s.Valid).Unix(), TTL: int64(s.TTL / time.Second),
		List: statusList{Bits: 1, List: l.packed, Aggregation: s.Issuer + Path},
	})
	if err != nil {
		return nil, fmt.Errorf("encode status list: %w", err)
	}
	text, err := jose.Sign(key, jose.Header{Type: Type}, body)
	if err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	sum := opaque.Hash(text)
	return &Document{Text: text, ETag: `"` + jose.EncodeSegment(sum[:12]) + `"`, MaxAge: s.TTL, Made: at}, nil
}
