package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// SameOrigin refuses unsafe requests that a page of another origin sent, whether
// they carry a cookie or not: a login is worth forging too. A request from no
// browser (neither Sec-Fetch-Site nor Origin) passes. trusted names further
// origins that may; nil trusts none.
func SameOrigin(trusted func(context.Context, string) bool, log *slog.Logger) func(http.Handler) http.Handler {
	rule := http.NewCrossOriginProtection()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := rule.Check(r)
			if err != nil && !(trusted != nil && trusted(r.Context(), one(r, "Origin"))) {
				respond.Error(w, r, fault.Wrap(err, fault.Forbidden, "The request comes from another origin."), log)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// one returns the value of a header that is there once, else "".
func one(r *http.Request, name string) string {
	all := r.Header.Values(name)
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// Sharing says which other origins may read the answers of a path (CORS).
type Sharing struct {
	Methods []string // sorted; what a preflight is told
	Trusted func(ctx context.Context, origin string) bool
	Cookies bool // whether the browser may send its cookies along
}

// Wrap adds the headers for origins that are trusted, and only for them, and
// answers preflights.
func (s Sharing) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := one(r, "Origin")
		ok := origin != "" && s.Trusted(r.Context(), origin)
		if ok {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			if s.Cookies {
				h.Set("Access-Control-Allow-Credentials", "true")
			}
		}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h.Set("Access-Control-Allow-Methods", strings.Join(s.Methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
		respond.NoContent(w)
	})
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

// Origins knows the origins of registered clients. It reads the register again
// when what it knows is older than Fresh, so that a change is felt at every node
// without a restart.
type Origins struct {
	List  func(ctx context.Context) ([]client.Client, error)
	Now   func() time.Time
	Fresh time.Duration
	Log   *slog.Logger

	mu    sync.Mutex
	known map[string]bool // origin -> whether a first-party client has it
	read  time.Time
}

// Registered reports whether an enabled client has this origin.
func (o *Origins) Registered(ctx context.Context, origin string) bool {
	_, ok := o.look(ctx)[origin]
	return ok
}

// FirstParty reports whether an enabled first-party client has this origin.
func (o *Origins) FirstParty(ctx context.Context, origin string) bool {
	return o.look(ctx)[origin]
}

// look returns the known origins. When the register cannot be read, what was
// known holds on, and nothing new is trusted.
func (o *Origins) look(ctx context.Context) map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	if o.known != nil && now.Sub(o.read) < o.Fresh {
		return o.known
	}
	all, err := o.List(ctx)
	if err != nil {
		o.Log.WarnContext(ctx, "origins of clients cannot be read", "cause", err.Error())
		return o.known
	}
	known := map[string]bool{}
	for _, c := range slices.DeleteFunc(slices.Clone(all), func(c client.Client) bool { return c.Disabled }) {
		for _, origin := range c.Origins {
			known[origin] = known[origin] || c.FirstParty
		}
	}
	o.known, o.read = known, now
	return known
}
