package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// The paths of endpoints that clients call.
const (
	devicePath     = "/oauth/device"
	introspectPath = "/oauth/introspect"
	pushPath       = "/oauth/par"
	registerPath   = "/oauth/register"
	revokePath     = "/oauth/revoke"
	tokenPath      = "/oauth/token"
)

// routes is every row of this surface, sorted by path. A row asks for a client's
// credentials unless it says public.
var routes = []route{
	{method: "GET", path: "/.well-known/jwks.json", public: (*Surface).jwks},
	{method: "GET", path: "/.well-known/oauth-authorization-server", public: (*Surface).metadata},
	{method: "GET", path: "/.well-known/openid-configuration", public: (*Surface).metadata},
	{method: "POST", path: devicePath, private: (*Surface).device, proves: true},
	{method: "POST", path: introspectPath, private: (*Surface).introspect},
	{method: "POST", path: pushPath, private: (*Surface).push, proves: true, browsers: true, documents: true},
	{method: "POST", path: registerPath, public: (*Surface).register, registers: true},
	{method: "DELETE", path: registerPath + "/{client_id}", public: (*Surface).unregister, registers: true},
	{method: "GET", path: registerPath + "/{client_id}", public: (*Surface).registered, registers: true},
	{method: "PUT", path: registerPath + "/{client_id}", public: (*Surface).reregister, registers: true},
	{method: "POST", path: revokePath, private: (*Surface).revoke, browsers: true},
	{method: "POST", path: tokenPath, private: (*Surface).token, proves: true, browsers: true},
	{method: "GET", path: api.UserinfoPath, public: (*Surface).userinfo, browsers: true},
	{method: "POST", path: api.UserinfoPath, public: (*Surface).userinfo, browsers: true},
}

// route is one row: exactly one of public and private is set.
type route struct {
	method, path string
	public       func(*Surface, http.ResponseWriter, *http.Request) error
	private      func(*Surface, http.ResponseWriter, *http.Request, call) error
	proves       bool // what it gives may be bound to a key of the client's
	browsers     bool // pages of registered origins may call it
	documents    bool // a client may come for the first time, described by a document
	registers    bool // there only where clients register themselves
}

// call is a form, the client that proved itself with it, and the keys that it proved
// to hold besides.
type call struct {
	client client.Client
	form   middleware.Fields
	proof  grant.Proof
}

// Grants knows clients and tokens.
type Grants interface {
	Authenticate(ctx context.Context, c grant.Credentials) (client.Client, error)
	ClientCredentials(ctx context.Context, c client.Client, ask grant.Ask) (grant.Tokens, error)
	Exchange(ctx context.Context, c client.Client, ask grant.CodeAsk) (grant.Tokens, error)
	Refresh(ctx context.Context, c client.Client, ask grant.RefreshAsk) (grant.Tokens, error)
	AssertionGrant(ctx context.Context, c client.Client, ask grant.AssertionAsk) (grant.Tokens, error)
	ExchangeToken(ctx context.Context, c client.Client, ask grant.ExchangeAsk) (grant.Tokens, error)
	StartDevice(ctx context.Context, c client.Client, ask grant.Ask, from netip.Addr) (grant.DeviceStart, error)
	RedeemDevice(ctx context.Context, c client.Client, in grant.DevicePoll) (grant.Tokens, error)
	Introspect(ctx context.Context, caller client.Client, q grant.Question) (grant.Answer, error)
	SignAnswer(caller client.Client, a grant.Answer) (string, error)
	Revoke(ctx context.Context, caller client.Client, token, hint string) error
	Userinfo(ctx context.Context, in grant.Shown) (grant.Info, error)
	CheckProof(p grant.Presented) (grant.Checked, error)
	UseProof(ctx context.Context, c grant.Checked) (jkt string, err error)
	ProofNonce() string
}

// Keys publishes the key set, ready to be sent.
type Keys interface {
	JWKS() (body []byte, etag string)
	MaxAge() time.Duration
}

// Config is what a Surface is made of. All fields but Locales, Registrar,
// Documents and those of certificates are needed.
type Config struct {
	Issuer   string
	Grants   Grants
	Requests Requests
	Keys     Keys
	// Registered says whether pages of an origin belong to a client, and so may
	// call the token endpoint.
	Registered func(ctx context.Context, origin string) bool
	// Certificates finds those of clients; nil: none are asked for. MTLS is where they
	// are, scheme and host: the issuer, or another name of this server.
	Certificates *middleware.Certificates
	MTLS         string
	Log          *slog.Logger
	Locales      []string // the languages of the pages, for metadata; none: not told
	// Registrar lets clients register themselves; nil: they cannot, and the endpoints
	// are not there.
	Registrar Registrar
	// Documents brings clients whose id is an address up to date with the document
	// there; nil: such clients are not served.
	Documents func(ctx context.Context, id string) error
}

// Surface serves the routes.
type Surface struct {
	Config
	discovery *document
	keySet    atomic.Pointer[document]
}

// New returns a surface.
func New(c Config) *Surface {
	s := &Surface{Config: c}
	s.discovery = s.document()
	return s
}

// Mount adds every row to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	shares := map[string]middleware.Sharing{}
	for _, row := range routes {
		if row.browsers {
			share := shares[row.path]
			share.Methods, share.Trusted = append(share.Methods, row.method), s.Registered
			shares[row.path] = share
		}
	}
	for path, share := range shares {
		mux.Handle("OPTIONS "+path, share.Wrap(http.NotFoundHandler()))
	}
	for _, row := range routes {
		if row.registers && s.Registrar == nil {
			continue
		}
		h := s.handler(row)
		if share, ok := shares[row.path]; ok && row.browsers {
			h = share.Wrap(h)
		}
		mux.Handle(row.method+" "+row.path, h)
	}
}

// handler reads the form and authenticates the client in front of every private
// row.
func (s *Surface) handler(row route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.serve(row, w, r)
		if err != nil {
			respond.Error(w, r, inOAuth(err), s.Log)
		}
	})
}

func (s *Surface) serve(row route, w http.ResponseWriter, r *http.Request) error {
	if row.public != nil {
		return row.public(s, w, r)
	}
	form, err := readForm(r)
	if err != nil {
		return err
	}
	creds, err := s.credentials(r, form)
	if err != nil {
		return err
	}
	var checked grant.Checked
	if row.proves {
		// Before the client: a proof that lacks a nonce costs it no assertion.
		if checked, err = s.checkProof(w, r, row.path, ""); err != nil {
			return err
		}
	}
	if row.documents && s.Documents != nil {
		if err := s.Documents(r.Context(), creds.ID); err != nil {
			return err
		}
	}
	c, err := s.Grants.Authenticate(r.Context(), creds)
	if err != nil {
		return err
	}
	jkt, err := s.Grants.UseProof(r.Context(), checked)
	if err != nil {
		return err
	}
	return row.private(s, w, r, call{client: c, form: form, proof: grant.Binding(c, jkt, creds.Certificate)})
}

// readForm refuses parameters in the URL: they would be in logs, and a parameter
// that is there twice with two values means two things to two readers.
func readForm(r *http.Request) (middleware.Fields, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, refuse(grant.InvalidRequest, "Parameters belong in the body, not in the URL.")
	}
	return middleware.Form(r)
}

func refuse(code, description string) error {
	return &grant.Error{Code: code, Description: description}
}

// inOAuth says in the words of RFC 6749 what our own words say of the input or
// of an ended session. Shedding load and failures keep their own.
func inOAuth(err error) error {
	for _, code := range []fault.Code{fault.Invalid, fault.Unsupported} {
		if fault.Is(err, code) {
			return refuse(grant.InvalidRequest, respond.Explain(err).Message)
		}
	}
	if fault.Is(err, fault.Unauthenticated) {
		return refuse(grant.InvalidGrant, respond.Explain(err).Message)
	}
	return err
}

// ask reads what a token is wanted for. resource (RFC 8707) and audience are two
// names for one thing.
func (c call) ask() (grant.Ask, error) {
	scopes, ok := middleware.Scopes(c.form["scope"])
	if !ok {
		return grant.Ask{}, refuse(grant.InvalidScope, "scope is not a space-delimited list of scopes.")
	}
	api, other := c.form["resource"], c.form["audience"]
	if api != "" && other != "" && api != other {
		return grant.Ask{}, refuse(grant.InvalidTarget, "resource and audience name different APIs.")
	}
	if api == "" {
		api = other
	}
	return grant.Ask{ClientID: c.client.ID, API: api, Scopes: scopes, Proof: c.proof}, nil
}

// grantNames lists the grant types that the token endpoint knows, sorted.
func grantNames() []string {
	names := make([]string, 0, len(grantTypes))
	for _, g := range grantTypes {
		names = append(names, g.name)
	}
	slices.Sort(names)
	return names
}
