package middleware

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// DefaultBody is the most a request body may have, in bytes.
const DefaultBody = 64 << 10

// Config is what the chain is made of.
type Config struct {
	Issuer  string           // its host is the one we answer for; https turns HSTS on, but for loopback: other ports there are others' business
	Hosts   []string         // further hosts, as host or host:port
	AnyHost []string         // exact paths that answer whatever the host: probes know only addresses
	Proxies []netip.Prefix   // whose X-Forwarded-For we believe; nobody else's
	Body    int64            // most bytes of a body; 0: DefaultBody
	Bodies  map[string]int64 // other caps for exact paths
	Quiet   []string         // exact paths whose successes are logged at level debug: verifiers come by all the time
	Sharing Sharing          // of answers about paths that nobody knows; zero: with nobody
	Log     *slog.Logger
	Now     func() time.Time
}

// Chain wraps a mux with everything that every request passes. What the mux does
// not know is answered in our words: as a page for somebody in front of a browser,
// in JSON for everybody else.
func Chain(c Config, mux *http.ServeMux) (http.Handler, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" {
		return nil, errors.New("issuer is not an absolute URL")
	}
	if c.Body == 0 {
		c.Body = DefaultBody
	}
	return &chain{Config: c, mux: mux, hosts: hostsOf(u, c.Hosts), secure: u.Scheme == "https" && !client.IsLoopback(u.Hostname())}, nil
}

type chain struct {
	Config
	mux    *http.ServeMux
	hosts  map[string]bool
	secure bool
	heavy  sync.Map // names of cookies that were warned of
}

// scope is the context of a request inside the chain.
type scope struct {
	context.Context
	addr    netip.Addr
	id      string
	secure  bool // the issuer is reached over TLS
	shared  bool // the headers for other origins are set
	trusted bool // and the request's origin is a trusted one
}

type scopeKey struct{}

// Value finds the scope itself and what its parent holds.
func (s *scope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// Address returns the caller's network address, as the chain found it. It is
// not valid outside the chain.
func Address(ctx context.Context) netip.Addr {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s.addr
	}
	return netip.Addr{}
}

// RequestID returns the request's id, "" outside the chain.
func RequestID(ctx context.Context) string {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s.id
	}
	return ""
}

func (c *chain) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	addr, addrErr := c.clientAddress(r)
	w := &recorder{ResponseWriter: out, chain: c, scope: scope{Context: r.Context(), addr: addr, id: c.requestID(r), secure: c.secure}}
	r = r.WithContext(&w.scope)
	if c.Log.Enabled(&w.scope, slog.LevelInfo) {
		start := c.Now()
		defer func() { c.logRequest(r, w, c.Now().Sub(start)) }()
	}
	defer c.recover(w, r)
	c.headers(w)
	c.weigh(r)
	to := c.find(r)
	c.share(w, r, to)
	if err := errors.Join(addrErr, c.checkHost(r), c.capBody(w, r)); err != nil {
		c.refuse(w, r, err)
		return
	}
	c.dispatch(w, r, to)
	w.end()
}

// dispatch answers what the mux does not know in our own words: a mux would
// write plain text.
func (c *chain) dispatch(w *recorder, r *http.Request, to place) {
	if strings.Contains(to.pattern, "{") {
		c.mux.ServeHTTP(w, r) // only the mux can fill in the path values
		return
	}
	if to.pattern != "" {
		r.Pattern = to.pattern
		to.handler.ServeHTTP(w, r)
		return
	}
	if w.shared && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		to.sharing.preflight(w, w.trusted)
		return
	}
	if to.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", to.allow)
		respond.Refuse(w, r, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not answer this method."))
		return
	}
	respond.Refuse(w, r, refusal(http.StatusNotFound, string(fault.NotFound), "There is nothing here."))
}

func refusal(status int, code, message string) respond.Refusal {
	return respond.Refusal{Status: status, Code: code, Message: message}
}

func (c *chain) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errHost) {
		respond.Refuse(w, r, refusal(http.StatusMisdirectedRequest, "misdirected", "This server does not answer for this host."))
		return
	}
	respond.Error(w, r, err, c.Log)
}

// capBody refuses a body that says it is too large, and stops one that lies.
func (c *chain) capBody(w *recorder, r *http.Request) error {
	most := c.Body
	if other, ok := c.Bodies[r.URL.Path]; ok {
		most = other
	}
	if r.ContentLength > most {
		drain(r)
		return fault.New(fault.TooLarge, "The request body is too large.")
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	// The server's own writer: it closes the connection of who sends too much.
	r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, most)
	return nil
}

// drainMost is how much of a refused body is read, in bytes.
const drainMost = 256 << 10

// drain reads what a client goes on sending on a connection that ends with this
// request. Without that the answer is lost when the connection is reset under it:
// proxies that speak so to us would show an error of their own.
func drain(r *http.Request) {
	if r.Close && r.Body != nil && r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, drainMost) // the refusal goes out in any case
	}
}

// always is every header that every answer has, whatever else it is: right for
// JSON about a person. A handler that answers with a page or with something public
// says so by setting its own. Names are in canonical form.
var always = [...]struct{ name, value string }{
	{"Cache-Control", "no-store"},
	{"Vary", "Cookie"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
}

// headers sets them, and the request id. The values stand in the recorder, one
// place each: whoever appends to one gets a copy.
func (c *chain) headers(w *recorder) {
	h := w.Header()
	for i, header := range always {
		w.values[i] = header.value
		h[header.name] = w.values[i : i+1 : i+1]
	}
	w.values[len(always)] = w.id
	h[respond.RequestID] = w.values[len(always):]
	if c.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// requestID believes a trusted proxy's id and makes one otherwise.
func (c *chain) requestID(r *http.Request) string {
	id := r.Header.Get(respond.RequestID)
	if id != "" && len(id) <= 64 && wordOnly(id) && c.trusts(remote(r)) {
		return id
	}
	return opaque.Text(12)
}

func wordOnly(s string) bool {
	for i := range len(s) {
		b := s[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}

func (c *chain) recover(w *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	c.Log.ErrorContext(r.Context(), "panic", "request_id", w.id, "route", r.Pattern, "value", v, "stack", string(debug.Stack()))
	if w.status == 0 {
		respond.Refuse(w, r, refusal(http.StatusInternalServerError, respond.Internal, "Something went wrong on our side."))
	}
}

// logRequest writes one line: never a query string, a header or a body, any of
// which may hold a secret. A known path is told by its route, so that no login
// stands in the log.
func (c *chain) logRequest(r *http.Request, w *recorder, took time.Duration) {
	address := ""
	if w.addr.IsValid() {
		address = w.addr.String()
	}
	where := slog.String("route", r.Pattern)
	if r.Pattern == "" {
		where = slog.String("path", audit.Clip(strings.ToValidUTF8(r.URL.Path, "?")))
	}
	level := slog.LevelInfo
	if w.status < http.StatusBadRequest && slices.Contains(c.Quiet, r.URL.Path) {
		level = slog.LevelDebug
	}
	c.Log.LogAttrs(r.Context(), level, "request",
		slog.String("request_id", w.id), slog.String("method", audit.Clip(r.Method)), where,
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.String("address", address),
		slog.Duration("took", took))
}
