package middleware

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Sizes of cookies in bytes, name and value together. Browsers drop a larger one
// without a word (draft-ietf-httpbis-rfc6265bis section 5.7), and proxies refuse
// requests with large Cookie headers before we see them.
const (
	mostCookie   = 4096
	heavyCookie  = 3584
	heavyCookies = 6 << 10 // all cookies of a request
)

// recorder is what the chain keeps for one request. It notes what was answered,
// and sees to what must hold for every answer with a cookie.
type recorder struct {
	http.ResponseWriter
	scope
	chain  *chain
	status int
	bytes  int64
	mute   bool                    // the answer was replaced; what the handler writes is dropped
	values [len(always) + 1]string // of headers
}

// WriteHeader sends the headers. An answer with a cookie that browsers would drop
// is replaced by a failure: whoever gets it would believe to be signed in.
func (w *recorder) WriteHeader(status int) {
	if w.mute {
		return
	}
	if w.status != 0 || status < 200 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	if set := w.Header()["Set-Cookie"]; len(set) > 0 && !w.guard(set) {
		w.status = 0
		w.Header().Del("Set-Cookie")
		w.Header().Del("Location")
		respond.JSON(w, http.StatusInternalServerError, problem{respond.Internal, "Something went wrong on our side."})
		w.mute = true
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

type problem struct {
	Error   string `json:"error"`
	Message string `json:"message"`
}

// guard keeps an answer with cookies out of every cache (a shared one would give
// somebody's session to others), whatever its handler said, and looks at the size
// of each. It is false when one is too large.
func (w *recorder) guard(set []string) bool {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	h.Del("Last-Modified")
	if !slices.ContainsFunc(h["Vary"], func(line string) bool { return strings.Contains(line, "Cookie") }) {
		h.Add("Vary", "Cookie")
	}
	for _, line := range set {
		pair, _, _ := strings.Cut(line, ";")
		name, _, _ := strings.Cut(pair, "=")
		size := len(pair) - 1
		if size > mostCookie {
			w.chain.Log.ErrorContext(&w.scope, "cookie is larger than browsers keep", "request_id", w.id, "cookie", name, "bytes", size, "most", mostCookie)
			return false
		}
		if size <= heavyCookie {
			continue
		}
		if _, warned := w.chain.heavy.LoadOrStore(name, true); !warned {
			w.chain.Log.WarnContext(&w.scope, "cookie is nearly as large as browsers keep; told once", "cookie", name, "bytes", size, "most", mostCookie)
		}
	}
	return true
}

// Write sends a part of the body.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.mute {
		return len(b), nil
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what is written so far.
func (w *recorder) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// end sends the headers of an answer that its handler left to net/http.
func (w *recorder) end() {
	if w.status == 0 && len(w.Header()["Set-Cookie"]) > 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// weigh notes requests with so many cookies that a proxy may refuse them one day.
// Names and values are nobody's business.
func (c *chain) weigh(r *http.Request) {
	size, count := 0, 0
	for _, line := range r.Header["Cookie"] {
		size += len(line)
	}
	if size <= heavyCookies || !c.Log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	for _, line := range r.Header["Cookie"] {
		count += 1 + strings.Count(line, ";")
	}
	c.Log.DebugContext(r.Context(), "request with large cookies", "request_id", RequestID(r.Context()), "bytes", size, "cookies", count)
}

// discard hears what a mux would answer.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
