package ssf

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// The paths.
const (
	metadataPath = "/.well-known/ssf-configuration"
	streamPath   = "/ssf/stream"
	statusPath   = "/ssf/status"
	addPath      = "/ssf/subjects/add"
	removePath   = "/ssf/subjects/remove"
	verifyPath   = "/ssf/verification"
	pollPath     = "/ssf/poll/"
)

// PollWait is how long a receiver that comes for events waits for one, unless the
// Config says otherwise. It is shorter than the server takes to stop.
const PollWait = 8 * time.Second

// routes is every row of this surface but the metadata, sorted by path. One of
// scopes is enough.
var routes = []route{
	{"POST", pollPath + "{id}", []string{ssf.ScopeRead, ssf.ScopeManage}, (*Surface).poll},
	{"GET", statusPath, []string{ssf.ScopeRead, ssf.ScopeManage}, (*Surface).status},
	{"POST", statusPath, []string{ssf.ScopeManage}, (*Surface).setStatus},
	{"DELETE", streamPath, []string{ssf.ScopeManage}, (*Surface).remove},
	{"GET", streamPath, []string{ssf.ScopeRead, ssf.ScopeManage}, (*Surface).read},
	{"PATCH", streamPath, []string{ssf.ScopeManage}, (*Surface).update},
	{"POST", streamPath, []string{ssf.ScopeManage}, (*Surface).create},
	{"PUT", streamPath, []string{ssf.ScopeManage}, (*Surface).replace},
	{"POST", addPath, []string{ssf.ScopeManage}, (*Surface).addSubject},
	{"POST", removePath, []string{ssf.ScopeManage}, (*Surface).removeSubject},
	{"POST", verifyPath, []string{ssf.ScopeManage}, (*Surface).verify},
}

// route is one row. clientID is the receiver.
type route struct {
	method, path string
	scopes       []string
	serve        func(s *Surface, w http.ResponseWriter, r *http.Request, clientID string) error
}

// Tokens knows who a management access token stands for.
type Tokens interface {
	Manager(ctx context.Context, bearer string) (grant.Manager, error)
}

// Streams are the rules of streams.
type Streams interface {
	Streams(ctx context.Context, clientID string) ([]outbox.Stream, error)
	Stream(ctx context.Context, clientID, id string) (outbox.Stream, error)
	Add(ctx context.Context, clientID string, w ssf.Wanted) (outbox.Stream, error)
	Edit(ctx context.Context, clientID, id string, w ssf.Wanted) (outbox.Stream, error)
	Remove(ctx context.Context, clientID, id string) error
	SetStatus(ctx context.Context, clientID, id string, to outbox.Status, reason string) (outbox.Stream, error)
	Verify(ctx context.Context, clientID, id, state string) error
}

// Events are what is in streams, and about whom.
type Events interface {
	AddSubject(ctx context.Context, clientID, streamID string, who ssf.Identifier) error
	RemoveSubject(ctx context.Context, clientID, streamID string, who ssf.Identifier) error
	Poll(ctx context.Context, clientID, id string, ask ssf.PollAsk) (ssf.Polled, error)
}

// Config is what a Surface is made of. Wait may be left out.
type Config struct {
	Issuer  string
	Tokens  Tokens
	Streams Streams
	Events  Events
	Wait    time.Duration // how long a poll waits; default PollWait
	Log     *slog.Logger
}

// Surface serves the routes.
type Surface struct {
	Config
	metadata []byte
}

// New returns a surface.
func New(c Config) *Surface {
	if c.Wait == 0 {
		c.Wait = PollWait
	}
	return &Surface{Config: c, metadata: metadataOf(c.Issuer)}
}

// Mount adds every row to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+metadataPath, s.sendMetadata)
	for _, row := range routes {
		mux.Handle(row.method+" "+row.path, respond.Serve(s.Log, func(w http.ResponseWriter, r *http.Request) error {
			clientID, err := s.receiver(w, r, row.scopes)
			if err != nil {
				return err
			}
			return row.serve(s, w, r, clientID)
		}))
	}
}

// receiver finds out which client calls, from exactly one Authorization header of
// scheme Bearer: what stands in a URL is logged, what stands in a cookie is sent
// unasked.
func (s *Surface) receiver(w http.ResponseWriter, r *http.Request, scopes []string) (clientID string, err error) {
	header, err := middleware.Authorization(r)
	if err != nil {
		challenge(w, `error="invalid_request"`)
		return "", err
	}
	token := middleware.Bearer(header)
	if token == "" {
		challenge(w, "") // RFC 6750 section 3.1: no error code when nothing was sent
		return "", fault.New(fault.Unauthenticated, "Send a management access token in the Authorization header.")
	}
	m, err := s.Tokens.Manager(r.Context(), token)
	if fault.Is(err, fault.Unauthenticated) {
		challenge(w, `error="invalid_token"`)
	}
	if err != nil {
		return "", err
	}
	// A person's token would make the stream of whatever client they came by.
	if m.Subject != m.ClientID || !slices.ContainsFunc(scopes, func(scope string) bool { return slices.Contains(m.Scopes, scope) }) {
		challenge(w, `error="insufficient_scope", scope="`+scopes[0]+`"`)
		return "", fault.New(fault.Forbidden, "This needs a token of a client's own, with the scope "+scopes[0]+".")
	}
	return m.ClientID, nil
}

func challenge(w http.ResponseWriter, more string) {
	text := `Bearer realm="wafer"`
	if more != "" {
		text += ", " + more
	}
	w.Header().Set("WWW-Authenticate", text)
}
