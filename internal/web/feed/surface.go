package feed

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// Renewals of relays hold the acks of many: the chain has to let bodies of
// LeaseBody bytes through at LeasePath.
const (
	LeasePath = "/feed/lease"
	LeaseBody = 512 << 10
)

// routes is every row of this surface, sorted by path. Each asks for a client's
// credentials or a ticket itself, but for the keys.
var routes = []struct {
	method, path string
	serve        func(*Surface, http.ResponseWriter, *http.Request) error
}{
	{"GET", "/feed/events", (*Surface).events},
	{"GET", "/feed/jwks.json", (*Surface).jwks},
	{"POST", LeasePath, (*Surface).lease},
	{"DELETE", "/feed/register", (*Surface).leave},
	{"POST", "/feed/register", (*Surface).register},
	{"GET", "/feed/snapshot", (*Surface).snapshot},
	{"GET", "/feed/snapshot/{epoch}/{seq}", (*Surface).exactly},
}

// Source is a hub or a relay.
type Source interface {
	Keys(ctx context.Context) (jose.KeySet, error)
	Admit(ctx context.Context, c feed.Credentials, r revocation.Registration) (revocation.Registered, error)
	Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error)
	Subscribe(ctx context.Context, ticket string, after revocation.Position) (*feed.Subscription, error)
	SnapshotAt(ctx context.Context, ticket string, least revocation.Position) (feed.Shot, error)
	SnapshotOf(ctx context.Context, ticket string, at revocation.Position) (feed.Shot, error)
	Leave(ctx context.Context, ticket string) error
}

// Config is what a Surface is made of. All fields but Beat are needed.
type Config struct {
	Source Source
	Now    func() time.Time
	Beat   time.Duration // how often a silent stream shows that it lives; 0: 15 s
	Log    *slog.Logger
}

// Surface serves the routes.
type Surface struct {
	Config
	mu     sync.Mutex
	zipped zipped // the last snapshot that was compressed
	event  atomic.Pointer[event]
}

// New returns a surface.
func New(c Config) *Surface {
	if c.Beat == 0 {
		c.Beat = 15 * time.Second
	}
	return &Surface{Config: c}
}

// Mount adds every row to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	for _, row := range routes {
		mux.Handle(row.method+" "+row.path, respond.Serve(s.Log, func(w http.ResponseWriter, r *http.Request) error {
			return row.serve(s, w, r)
		}))
	}
}

// jwks publishes the keys that sign frames.
func (s *Surface) jwks(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.Source.Keys(r.Context())
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, keys)
	return nil
}

// register makes a verifier known to whoever proves a client that may follow.
func (s *Surface) register(w http.ResponseWriter, r *http.Request) error {
	header, err := middleware.Authorization(r)
	if err != nil {
		return err
	}
	id, secret, ok := middleware.Basic(header)
	if !ok {
		return &grant.Error{Code: grant.InvalidClient, Description: "Client authentication failed."}
	}
	var in revocation.Registration
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	out, err := s.Source.Admit(r.Context(), feed.Credentials{ID: id, Secret: secret}, in)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, out)
	return nil
}

// lease renews: the answer is a sealed lease and nothing else.
func (s *Surface) lease(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(w, r)
	if err != nil {
		return err
	}
	var ask revocation.Ask
	if err := middleware.JSON(r, &ask); err != nil {
		return err
	}
	sealed, err := s.Source.Renew(r.Context(), ticket, ask)
	if err != nil {
		return challenge(w, err)
	}
	w.Header().Set("Content-Type", "application/jose")
	_, _ = w.Write([]byte(sealed)) // the caller may have left
	return nil
}

// leave takes a verifier off the list.
func (s *Surface) leave(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(w, r)
	if err != nil {
		return err
	}
	if err := s.Source.Leave(r.Context(), ticket); err != nil {
		return challenge(w, err)
	}
	respond.NoContent(w)
	return nil
}

// ticket reads the bearer token of a request.
func (s *Surface) ticket(w http.ResponseWriter, r *http.Request) (string, error) {
	header, err := middleware.Authorization(r)
	if err != nil {
		return "", err
	}
	if ticket := middleware.Bearer(header); ticket != "" {
		return ticket, nil
	}
	return "", challenge(w, fault.New(fault.Unauthenticated, "Send the ticket of your registration in the Authorization header."))
}

// challenge tells who shows no good ticket what is asked for.
func challenge(w http.ResponseWriter, err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="wafer"`)
	}
	return err
}

// position reads a position that a caller wrote.
func position(text, where string) (revocation.Position, error) {
	p, err := revocation.ParsePosition(text)
	if err != nil {
		return p, fault.Wrap(err, fault.Invalid, where+" must be a position, epoch:seq.")
	}
	return p, nil
}
