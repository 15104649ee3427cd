package app

import (
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Config is what the shop must know. Client, Logger, Now and Timeout may be left
// out.
type Config struct {
	Issuer   string // where Wafer is
	Self     string // where browsers find the shop
	Orders   string // where the orders API is
	ClientID string // the shop's own client, first-party
	API      string // id of the orders API
	Logger   *slog.Logger
	Client   *http.Client // redirects are never followed, whatever it says
	Now      func() time.Time
	Timeout  time.Duration // of each call, and of the watch after a log-out; zero: 5 s
}

// shop serves the page.
type shop struct {
	Config
	client   http.Client
	host     string // the one we answer for
	oneHost  bool   // whether Wafer's cookies reach us
	policy   string // Content-Security-Policy
	key      []byte // of the form codes
	visits   *visits
	sameSite *http.CrossOriginProtection
}

// routes is every row, sorted by path. A row that posts passes the cross-origin
// rule and brings the code of its form.
var routes = []struct {
	pattern string
	get     func(*shop, http.ResponseWriter, *http.Request)
	post    func(*shop, http.ResponseWriter, *http.Request, turn) string // where on the page to go on
}{
	{pattern: "GET /{$}", get: (*shop).page},
	{pattern: "POST /again", post: (*shop).again},
	{pattern: "POST /cookie", post: (*shop).callWithCookie},
	{pattern: "POST /logout", post: (*shop).logOut},
	{pattern: "GET /mark.svg", get: file("image/svg+xml")},
	{pattern: "POST /refresh", post: (*shop).refresh},
	{pattern: "GET /shop.css", get: file("text/css; charset=utf-8")},
	{pattern: "POST /swap", post: (*shop).swapAndCall},
	{pattern: "POST /tokens", post: (*shop).signIn},
}

// New returns the shop's handler. A URL that is not absolute, or a client or API
// that is missing, is an error.
func New(c Config) (http.Handler, error) {
	self, err := absolute("self", c.Self)
	if err != nil {
		return nil, err
	}
	issuer, err := absolute("issuer", c.Issuer)
	if err != nil {
		return nil, err
	}
	if _, err := absolute("orders", c.Orders); err != nil {
		return nil, err
	}
	if c.ClientID == "" || c.API == "" {
		return nil, errors.New("shop: client and API must be named")
	}
	s := &shop{
		Config: c.withDefaults(), host: self.Host, oneHost: self.Hostname() == issuer.Hostname(),
		policy: "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' " + origin(issuer) +
			"; frame-ancestors 'none'; base-uri 'none'",
		key:      make([]byte, 32),
		sameSite: http.NewCrossOriginProtection(),
	}
	_, _ = rand.Read(s.key) // never fails
	s.visits = newVisits(s.Now)
	if c.Client != nil {
		s.client = *c.Client
	}
	// A redirect would carry the credential to wherever it points.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s.handler(), nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	return c
}

func absolute(name, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("shop: %s must be an absolute http or https URL", name)
	}
	return u, nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	for _, row := range routes {
		mux.HandleFunc(row.pattern, func(w http.ResponseWriter, r *http.Request) {
			if row.post == nil {
				row.get(s, w, r)
				return
			}
			t, no := s.turn(w, r)
			if no != "" {
				s.refuse(w, http.StatusForbidden, no)
				return
			}
			http.Redirect(w, r, "/"+row.post(s, w, r, t), http.StatusSeeOther)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.headers(w.Header())
		// A name that somebody else points at this address must not reach the page
		// (DNS rebinding).
		if r.Host != s.host {
			s.refuse(w, http.StatusMisdirectedRequest, refusal("The shop is at "+s.Self+" and answers under no other name."))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *shop) headers(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin") // the forms need their Origin
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

//go:embed static
var static embed.FS

func file(contentType string) func(*shop, http.ResponseWriter, *http.Request) {
	return func(_ *shop, w http.ResponseWriter, r *http.Request) {
		b, err := static.ReadFile("static" + r.URL.Path)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(b) // the browser may have left
	}
}
