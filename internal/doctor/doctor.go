package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// How long things may take. One probe is one request, one dial, one handshake.
const (
	perProbe = 5 * time.Second
	whole    = 25 * time.Second // without signing out again, which has a probe's time of its own
)

// Target is what is examined, and as whom.
type Target struct {
	// URL is the issuer as people and services write it: scheme://host[:port].
	URL string
	// CA are the authorities that may have signed the certificate; nil: the
	// system's. See Roots.
	CA *x509.CertPool
	// Origin is the origin of an application's pages, to see whether they may
	// call; "" for none.
	Origin string
	// Login and Password are of somebody who is signed in and out again; "" for
	// nobody. They are sent only over a connection that is proven or does not
	// leave this machine.
	Login, Password string
	// Now is our clock, against which the server's and certificates are held.
	Now func() time.Time
	// Resolve finds the addresses of a name; nil: as the system does.
	Resolve func(ctx context.Context, host string) ([]string, error)
	// Dial connects; nil: directly. A proxy named by the environment is never
	// used: what is examined is the way that everybody else takes.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Status is how a check ended.
type Status string

// The statuses, from good to bad; Skip is neither.
const (
	OK   Status = "ok"
	Warn Status = "warn" // works, but not as well or not for everybody
	Fail Status = "fail"
	Skip Status = "skip" // could not be examined; Found says why
)

// Check is one thing that was examined.
type Check struct {
	ID     string `json:"id"` // stable: scripts may rely on it
	Title  string `json:"title"`
	Status Status `json:"status"`
	Found  string `json:"found"`         // what was seen, without control characters
	Fix    string `json:"fix,omitempty"` // what to do about it
}

// Report is the outcome. Every report has the same checks in the same order,
// whatever happened; those that did not come about are skipped.
type Report struct {
	Target string `json:"target"`
	// Unreachable: no HTTP answer came at all, so nothing else was examined.
	Unreachable bool    `json:"unreachable"`
	Checks      []Check `json:"checks"`
}

// Count returns how many checks ended with the status.
func (r Report) Count(s Status) int {
	n := 0
	for _, c := range r.Checks {
		if c.Status == s {
			n++
		}
	}
	return n
}

// Run examines the target. It takes at most 30 seconds, and ends early when ctx
// does: what is left is skipped then.
func Run(ctx context.Context, t Target) Report {
	x := newExam(t)
	defer x.close()
	short, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	r := Report{Target: t.URL}
	for _, c := range checks {
		f := x.examine(short, c)
		r.Checks = append(r.Checks, Check{ID: c.id, Title: c.title, Status: f.status, Found: printable(f.found), Fix: printable(f.fix)})
	}
	r.Unreachable = x.stage < answered
	return r
}

// stage is how far the examination has come. Each check needs one.
type stage int

const (
	nothing   stage = iota
	parsed          // the URL makes sense
	named           // its name has an address
	connected       // something listens there
	secured         // and speaks TLS, if it has to
	answered        // HTTP is answered
	known           // by a Wafer
	ours            // which takes the host for its own
	seated          // and somebody is signed in
)

// missing says why a check that needs a stage is skipped.
var missing = map[stage]string{
	parsed:    "The URL cannot be used.",
	named:     "The name has no address.",
	connected: "Nothing listens.",
	secured:   "There is no connection.",
	answered:  "There is no answer.",
	known:     "No Wafer answered.",
	ours:      "Wafer does not answer for this host; see host.own.",
}

// check is one row of the list.
type check struct {
	id, title string
	needs     stage
	run       func(*exam, context.Context) finding
}

// checks is everything that is examined, in order: later ones rely on what
// earlier ones found, and the last one takes back the only thing that was done.
var checks = []check{
	{"reach.url", "The URL can be an issuer", nothing, (*exam).checkURL},
	{"reach.name", "The name has an address", parsed, (*exam).checkName},
	{"reach.connect", "Something listens there", named, (*exam).checkConnect},
	{"reach.tls", "The certificate is trusted, and for this name", connected, (*exam).checkTLS},
	{"reach.expiry", "The certificate lasts", secured, (*exam).checkExpiry},
	{"reach.oldtls", "TLS older than 1.2 is refused", secured, (*exam).checkOldTLS},
	{"reach.http2", "HTTP/2", secured, (*exam).checkHTTP2},
	{"reach.http", "HTTP is answered", secured, (*exam).checkHTTP},
	{"redirect.loop", "Redirects come to an end", answered, (*exam).checkLoop},
	{"reach.wafer", "It is a Wafer", answered, (*exam).checkWafer},
	{"ready.health", "The process answers", known, (*exam).checkHealth},
	{"ready.ready", "The database answers", known, (*exam).checkReady},
	{"host.own", "The Host header arrives unchanged", known, (*exam).checkOwnHost},
	{"host.unknown", "Unknown hosts are refused", ours, (*exam).checkUnknownHost},
	{"issuer.metadata", "The metadata can be read", ours, (*exam).checkMetadata},
	{"issuer.same", "The issuer is the URL asked, byte for byte", ours, (*exam).checkIssuer},
	{"issuer.endpoints", "All endpoints are under the issuer", ours, (*exam).checkEndpoints},
	{"issuer.openid", "OpenID metadata says the same", ours, (*exam).checkOpenID},
	{"issuer.announced", "What applications rely on is announced", ours, (*exam).checkAnnounced},
	{"issuer.answers", "Every endpoint that is announced answers", ours, (*exam).checkAnswers},
	{"issuer.keys", "The key set has keys", ours, (*exam).checkKeys},
	{"issuer.cache", "Metadata and keys can be cached", ours, (*exam).checkMetadataCache},
	{"redirect.https", "Plain HTTP leads to HTTPS", ours, (*exam).checkPlain},
	{"redirect.login", "A visitor is led to the sign-in page", ours, (*exam).checkVisitor},
	{"redirect.fetch", "A script is told 401, not redirected", ours, (*exam).checkFetch},
	{"proxy.forged", "X-Forwarded-For of a stranger is not believed", ours, (*exam).checkForged},
	{"proxy.links", "X-Forwarded-Host and -Proto change no link", ours, (*exam).checkLinks},
	{"header.html", "Security headers on pages", ours, (*exam).checkPageHeaders},
	{"header.json", "Security headers on JSON", ours, (*exam).checkJSONHeaders},
	{"header.missing", "Security headers on errors", ours, (*exam).checkErrorHeaders},
	{"cache.personal", "Personal answers say no-store", ours, (*exam).checkNoStore},
	{"cache.shared", "No cache answers in Wafer's place", ours, (*exam).checkShared},
	{"cache.compression", "Pages with secrets are not compressed", ours, (*exam).checkCompression},
	{"cors.session", "The origin may swap a cookie for a token", ours, (*exam).checkSessionPreflight},
	{"cors.token", "The origin may call the token endpoint", ours, (*exam).checkTokenPreflight},
	{"cors.answer", "The origin may read the answers", ours, (*exam).checkSharedAnswer},
	{"cors.stranger", "Other origins may not", ours, (*exam).checkStranger},
	{"limits.body", "Bodies of the allowed size arrive, larger ones are refused by Wafer", ours, (*exam).checkBodies},
	{"limits.headers", "Room for other cookies", ours, (*exam).checkRoom},
	{"limits.method", "TRACE is refused", ours, (*exam).checkTrace},
	{"clock.date", "The clocks agree", ours, (*exam).checkDate},
	{"cookie.form", "Cookies arrive as they were set", ours, (*exam).checkFormCookie},
	{"cookie.signin", "Signing in works", ours, (*exam).checkSignIn},
	{"cookie.session", "A browser keeps the session cookie", seated, (*exam).checkSessionCookie},
	{"cookie.back", "The cookie comes back to Wafer", seated, (*exam).checkBack},
	{"cookie.size", "Cookies and headers are small", seated, (*exam).checkSize},
	{"clock.signin", "Wafer's own clock agrees", seated, (*exam).checkSignInTime},
	{"cache.signedin", "Nobody is shown another's answer", seated, (*exam).checkMixUp},
	{"proxy.address", "The caller's own address arrives", seated, (*exam).checkAddress},
	{lastCheck, "Signing out works", seated, (*exam).checkSignOut},
}

const lastCheck = "cookie.end"

// examine runs one check, if it can be run.
func (x *exam) examine(ctx context.Context, c check) finding {
	if x.stage < c.needs {
		for at := x.stage + 1; at < c.needs; at++ {
			if missing[at] != "" {
				return skipped("%s", missing[at])
			}
		}
		if c.needs == seated {
			return skipped("%s", x.noSeat)
		}
		return skipped("%s", missing[c.needs])
	}
	if c.id == lastCheck { // whatever the time: what was begun is ended
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), perProbe)
		defer cancel()
		return c.run(x, last)
	}
	if ctx.Err() == nil {
		f := c.run(x, ctx)
		if ctx.Err() == nil || f.status != Fail {
			return f
		}
	}
	return skipped("The time for everything was over.")
}

// finding is what a check found.
type finding struct {
	status     Status
	found, fix string
}

func fine(format string, a ...any) finding {
	return finding{status: OK, found: fmt.Sprintf(format, a...)}
}

func skipped(format string, a ...any) finding {
	return finding{status: Skip, found: fmt.Sprintf(format, a...)}
}

func doubt(fix, format string, a ...any) finding {
	return finding{Warn, fmt.Sprintf(format, a...), fix}
}

func wrong(fix, format string, a ...any) finding {
	return finding{Fail, fmt.Sprintf(format, a...), fix}
}

// worst returns the first of the worst.
func worst(all ...finding) finding {
	rank := map[Status]int{OK: 1, Warn: 2, Fail: 3}
	var out finding
	for _, f := range all {
		if rank[f.status] > rank[out.status] {
			out = f
		}
	}
	return out
}

// printable replaces what could steer a terminal: much of what is found is the
// server's own text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// quote returns a text of the server's, bounded and between quotes.
func quote(s string) string {
	const most = 120
	r := []rune(s)
	if len(r) > most {
		return fmt.Sprintf("%q...", string(r[:most]))
	}
	return fmt.Sprintf("%q", s)
}

// exam is an examination under way.
type exam struct {
	Target
	url      *url.URL
	base     string // scheme://host[:port], nothing after it
	stage    stage
	unproven bool // the certificate is not trusted: nothing secret is sent
	web      *web
	tls      handshake
	home     metadata // what the server says of itself
	noSeat   string   // why nobody is signed in
	seat     seat
}

func newExam(t Target) *exam {
	if t.Resolve == nil {
		t.Resolve = net.DefaultResolver.LookupHost
	}
	if t.Dial == nil {
		t.Dial = (&net.Dialer{}).DialContext
	}
	return &exam{Target: t}
}

func (x *exam) close() {
	if x.web != nil {
		x.web.rt.CloseIdleConnections()
	}
}

// https reports whether the target speaks TLS.
func (x *exam) https() bool { return x.url.Scheme == "https" }
