package httpauth

import (
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/verify"
)

// What pages of other origins may send, and may read of an answer besides what
// browsers always let them.
const (
	sharedMethods  = "DELETE, GET, HEAD, PATCH, POST, PUT"
	sharedHeaders  = "Authorization, Content-Type, DPoP, X-Requested-With"
	exposedHeaders = "DPoP-Nonce, Retry-After, WWW-Authenticate, X-Request-Id"
	preflightAge   = "600" // seconds
)

// CORS lets pages of these origins read every answer of next, refusals included,
// and send cookies along, as Auth.CORS does; for a service that has no Auth. It
// panics on what is no origin as browsers spell it.
func CORS(next http.Handler, list ...string) http.Handler {
	return share(next, originsOf(list), sharedHeaders)
}

// CORS lets pages of Options.Origins read every answer of next, refusals included,
// and send cookies along. Put it around the whole service: it answers preflights
// itself, and a preflight never brings a credential. An origin counts byte for
// byte; no answer ever names "*" or an origin that is not listed.
func (a *Auth) CORS(next http.Handler) http.Handler {
	return share(next, a.origins, strings.Join(append([]string{sharedHeaders}, a.headers...), ", "))
}

func share(next http.Handler, list origins, headers string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		lines := r.Header.Values("Origin")
		trusted := len(lines) == 1 && list[lines[0]]
		if trusted {
			h.Set("Access-Control-Allow-Origin", lines[0])
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			if trusted {
				h.Set("Access-Control-Expose-Headers", exposedHeaders)
			}
			next.ServeHTTP(w, r)
			return
		}
		if !trusted {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h.Set("Access-Control-Allow-Methods", sharedMethods)
		h.Set("Access-Control-Allow-Headers", headers)
		h.Set("Access-Control-Max-Age", preflightAge)
		w.WriteHeader(http.StatusNoContent)
	})
}

// headerNames panics on what is no name of a header (RFC 9110 section 5.6.2): as a
// list, "*" or a line break it would mean something else.
func headerNames(list []string) []string {
	for _, name := range list {
		if !verify.ValidScope(name) || strings.ContainsAny(name, "()<>@,;:\\\"/[]?={}*") {
			panic("httpauth: not the name of a header: " + quote(name, ""))
		}
	}
	return append([]string(nil), list...)
}
