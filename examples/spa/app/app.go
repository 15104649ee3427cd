package app

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is what the application must know. Logger and what follows may be left
// out.
type Config struct {
	Issuer       string // where Wafer is
	Self         string // where browsers find the application
	Orders       string // where the orders API is
	ClientID     string // of the application: confidential, first-party
	ClientSecret string
	API          string // id of the orders API

	Logger  *slog.Logger
	Client  *http.Client // redirects are never followed, whatever it says
	Now     func() time.Time
	Timeout time.Duration // of each call to Wafer or orders; zero: 5 s
	Most    int           // browsers signed in at one time; zero: 4096
}

// spa serves the page and its endpoints.
type spa struct {
	Config
	client     http.Client
	host       string // the one we answer for
	sessions   *store
	sameOrigin *http.CrossOriginProtection
}

// routes is every row below /api/, sorted by path.
var routes = []struct {
	pattern string
	do      func(*spa, http.ResponseWriter, *http.Request) error
}{
	{"GET /api/me", (*spa).me},
	{"GET /api/orders", (*spa).orders},
	{"POST /api/sign-in", (*spa).signIn},
	{"POST /api/sign-out", (*spa).signOut},
	{"POST /api/sign-out-everywhere", (*spa).signOutEverywhere},
}

// New returns the application's handler, or everything that is wrong with the
// configuration. Secrets travel to every address in it, so that all must be https
// or on this machine.
func New(c Config) (http.Handler, error) {
	self, wrong := address("self", c.Self)
	_, badIssuer := address("issuer", c.Issuer)
	_, badOrders := address("orders", c.Orders)
	if c.ClientID == "" || c.ClientSecret == "" || c.API == "" {
		wrong = errors.Join(wrong, errors.New("client, its secret and the API must be named"))
	}
	if err := errors.Join(wrong, badIssuer, badOrders); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	s := &spa{
		Config: c, host: self.Host, sameOrigin: http.NewCrossOriginProtection(),
		sessions: &store{now: c.Now, most: cmp.Or(c.Most, 4096), all: map[key]*entry{}},
	}
	if c.Client != nil {
		s.client = *c.Client
	}
	// A redirect would carry the credential to wherever it points.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s.handler()
}

func address(name, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || raw != u.Scheme+"://"+u.Host {
		return nil, fmt.Errorf("%s %q: write scheme://host[:port], nothing after it", name, raw)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !local(u.Hostname())) {
		return nil, fmt.Errorf("%s %q: use https (http is for localhost only)", name, raw)
	}
	return u, nil
}

func local(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func (s *spa) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, row := range routes {
		mux.Handle(row.pattern, s.api(row.do))
	}
	mux.Handle("/api/", s.api(func(*spa, http.ResponseWriter, *http.Request) error {
		return &problem{status: http.StatusNotFound, Code: "not_found", Message: "There is nothing here."}
	}))
	if err := mountFiles(mux); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		// A name that somebody else's DNS points at this address must not be
		// the same origin as the page (DNS rebinding).
		if !strings.EqualFold(r.Host, s.host) {
			write(w, http.StatusMisdirectedRequest, &problem{Code: "misdirected", Message: "The application answers under another name."})
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// policy lets the page run its own files and talk to its own origin. Trusted types
// with no policy turn every way of making code out of text into an error.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; " +
	"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}
