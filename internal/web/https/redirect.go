package https

import (
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Redirect sends GET and HEAD to the same path and query of the issuer, and
// refuses everything else: what it carried has just been sent in the clear, and a
// redirect would hide that. Nothing of the target but path and query comes from
// the request.
func Redirect(issuer string) http.Handler {
	refusal := struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}{"https_required", "This was plain HTTP, which anybody on the way can read. Use " + issuer +
		" and replace every password or secret that was just sent."}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Connection", "close")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			respond.JSON(w, http.StatusForbidden, refusal)
			return
		}
		http.Redirect(w, r, issuer+target(r), http.StatusPermanentRedirect)
	})
}

// target is the path and the query of a request. An absolute-form or opaque
// request line names a host, which is left out (RFC 9112 section 3.2.2).
func target(r *http.Request) string {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	return path
}
