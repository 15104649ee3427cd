package authorize

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/ticket"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Grants says what may be given, and opens the codes that give it. See
// grant.Service.
type Grants interface {
	Preview(ctx context.Context, r oidc.Request, sess session.Session) ([]string, error)
	OpenCode(ctx context.Context, r oidc.Request, sess session.Session, scopes []string) (string, error)
	IDTokenHint(ctx context.Context, token string) (h oidc.Hint, ok bool, err error)
}

// Clients finds clients.
type Clients interface {
	ClientByID(ctx context.Context, id string) (client.Client, bool, error)
}

// APIs finds APIs.
type APIs interface {
	APIByID(ctx context.Context, id string) (api.API, bool, error)
}

// Keys finds the public keys of clients. See peerkeys.Keys.
type Keys interface {
	Find(ctx context.Context, src peerkeys.Source, kid string, alg jose.Algorithm) ([]*jose.Key, error)
}

// Config is what a Service is made of. All fields but Documents are needed.
type Config struct {
	Issuer   string
	Clients  Clients
	APIs     APIs
	Grants   Grants
	Tickets  ticket.Store
	Consents consent.Store
	Keys     Keys
	Seal     *opaque.Key // seals requests on their way through the pages
	Now      func() time.Time
	// Documents brings clients whose id is an address up to date with the document
	// there; nil: such clients are not served.
	Documents func(ctx context.Context, id string) error
}

// Service reads, keeps and answers authorization requests. It is safe for
// concurrent use.
type Service struct{ Config }

// New returns a service.
func New(c Config) *Service { return &Service{Config: c} }

// now is cut to what stores keep: a session that began at the very moment of a
// request must not look older than it.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func refuse(code, description string) error {
	return &oidc.Error{Code: code, Description: description}
}
