package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/internal/web/respond"
)

// What pages of other origins may send, and may read of an answer besides what
// browsers always let them.
const (
	sharedHeaders  = "Authorization, Content-Type, DPoP, X-Requested-With"
	exposedHeaders = "DPoP-Nonce, Retry-After, WWW-Authenticate, X-Request-Id"
	preflightAge   = "600" // seconds
)

// Sharing says which other origins may read the answers of a path (CORS). An
// origin is trusted byte for byte or not at all; the answer never names "*".
type Sharing struct {
	Methods []string // sorted; what a preflight is told
	// Trusted says who may read the answers, refusals and failures included.
	Trusted func(ctx context.Context, origin string) bool
	// Cookies says who of them may also send cookies along; nil: nobody.
	Cookies func(ctx context.Context, origin string) bool
}

// Wrap shares a handler, and answers preflights itself. Inside the chain what the
// chain refuses before the handler is reached is shared alike.
func (s Sharing) Wrap(next http.Handler) http.Handler { return &shared{s, next} }

type shared struct {
	Sharing
	next http.Handler
}

// ServeHTTP answers preflights and hands everything else on.
func (s *shared) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, inside := r.Context().Value(scopeKey{}).(*scope)
	ok := inside && in.trusted
	if !inside || !in.shared {
		ok = s.mark(w.Header(), r)
	}
	if r.Method == http.MethodOptions {
		s.preflight(w, ok)
		return
	}
	s.next.ServeHTTP(w, r)
}

// mark sets the headers that go with every answer, and reports whether the origin
// is trusted.
func (s Sharing) mark(h http.Header, r *http.Request) bool {
	h.Add("Vary", "Origin")
	origin := one(r, "Origin")
	if origin == "" || origin == "null" || !s.Trusted(r.Context(), origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
	if s.Cookies != nil && s.Cookies(r.Context(), origin) {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

func (s Sharing) preflight(w http.ResponseWriter, trusted bool) {
	if !trusted {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	h := w.Header()
	h.Del("Access-Control-Expose-Headers")
	h.Set("Access-Control-Allow-Methods", strings.Join(s.Methods, ", "))
	h.Set("Access-Control-Allow-Headers", sharedHeaders)
	h.Set("Access-Control-Max-Age", preflightAge)
	respond.NoContent(w)
}

// share finds out how an answer is shared before anything can be refused, so that
// a page can read why. A path that answers other methods is shared as for those,
// one that nobody knows as the configuration says: else a mistyped address would
// look like a fault of CORS.
func (c *chain) share(w *recorder, r *http.Request, to place) {
	sharing := to.sharing
	if sharing == nil {
		return
	}
	w.shared, w.trusted = true, sharing.mark(w.Header(), r)
}

// place is what the mux says of a request.
type place struct {
	handler http.Handler
	pattern string   // "" when no row answers
	status  int      // then: 404, 405 or where to go instead
	allow   string   // of a 405
	sharing *Sharing // nil: pages of other origins read nothing
}

func (c *chain) find(r *http.Request) place {
	h, pattern := c.mux.Handler(r)
	to := place{handler: h, pattern: pattern}
	if s, ok := h.(*shared); ok {
		to.sharing = &s.Sharing
	}
	if pattern != "" {
		return to
	}
	probe := &discard{header: http.Header{}}
	h.ServeHTTP(probe, r)
	to.status, to.allow = probe.status, probe.header.Get("Allow")
	if to.status == http.StatusMethodNotAllowed {
		preflight := *r
		preflight.Method = http.MethodOptions
		if h, _ := c.mux.Handler(&preflight); h != nil {
			if s, ok := h.(*shared); ok {
				to.sharing = &s.Sharing
			}
		}
		return to
	}
	if c.Sharing.Trusted != nil {
		to.sharing = &c.Sharing
	}
	return to
}

// Public marks an answer as the same for everybody: any origin may read it, any
// cache may keep it for so long.
func Public(w http.ResponseWriter, cacheControl string) {
	h := w.Header()
	h.Del("Vary")
	h.Set("Cache-Control", cacheControl)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}
