package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
)

// The names of Wafer's cookies, as a browser sees them.
const (
	sessionCookie = "__Host-Http-wafer"
	formCookie    = "__Host-Http-wafer-form"
)

// mostCookie is the most bytes of name and value that browsers keep (RFC 6265bis
// section 5.6).
const mostCookie = 4096

const fixCookie = "Let the proxy pass Set-Cookie on as it is (nginx: no proxy_cookie_path, proxy_cookie_domain, proxy_cookie_flags or proxy_hide_header for it)."

// seat is a sign-in under way.
type seat struct {
	answer                // to POST /session
	id       string       // of the session
	cookie   *http.Cookie // as it arrived
	at       time.Time    // when it was, by Wafer's clock; zero: it does not say
	between  [2]time.Time // and by ours
	refusals []string     // why a browser would not keep the cookie
}

// checkFormCookie looks at the cookie that everybody gets who opens the sign-in
// page.
func (x *exam) checkFormCookie(ctx context.Context) finding {
	x.noSeat = "Cookies do not arrive, so nobody is signed in; see cookie.form."
	a := x.ask(ctx, question{path: "/login", header: navigation()})
	if a.err != nil || a.status != http.StatusOK {
		return unexpected("/login", a)
	}
	c, others := arrived(a, formCookie)
	if c == nil {
		return wrong(fixCookie, "/login sets no cookie called %s%s.", formCookie, others)
	}
	x.noSeat = ""
	return x.judgeCookie(c)
}

// arrived finds a cookie in an answer, and tells what came in its place.
func arrived(a answer, name string) (found *http.Cookie, others string) {
	for _, line := range a.header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		switch {
		case err != nil:
			others += ", but one that cannot be read"
		case c.Name == name && found == nil:
			found = c
		case !strings.HasPrefix(c.Name, sessionCookie):
			others += ", but " + quote(c.Name)
		}
	}
	return found, others
}

func (x *exam) judgeCookie(c *http.Cookie) finding {
	if all := x.refuses(c); len(all) > 0 {
		return wrong(fixCookie, "A browser throws %s away: %s.", c.Name, strings.Join(all, "; "))
	}
	switch {
	case c.SameSite == http.SameSiteNoneMode:
		return wrong(fixCookie, "%s arrives with SameSite=None: pages of others can use it.", c.Name)
	case c.SameSite != http.SameSiteLaxMode:
		return doubt(fixCookie, "%s does not arrive with SameSite=Lax, as Wafer sets it.", c.Name)
	}
	return fine("%s is kept.", c.Name)
}

// refuses says by which rules a browser does not keep a cookie of ours (RFC
// 6265bis sections 4.1.3 and 5.7, and the prefix __Host-Http- of its successor).
func (x *exam) refuses(c *http.Cookie) []string {
	var why []string
	if !c.Secure {
		why = append(why, "Secure is missing")
	}
	if c.Path != "/" {
		why = append(why, "its Path is "+quote(c.Path)+", not /")
	}
	if c.Domain != "" {
		why = append(why, "it has the Domain "+quote(c.Domain))
	}
	if !c.HttpOnly {
		why = append(why, "HttpOnly is missing")
	}
	if !x.https() && !config.IsLoopback(x.url.Hostname()) {
		why = append(why, "Secure cookies are not taken over plain http")
	}
	if n := len(c.Name) + len(c.Value); n > mostCookie {
		why = append(why, fmt.Sprintf("it has %d bytes", n))
	}
	if len(why) == 0 && !x.jarKeeps(c) {
		why = append(why, "a cookie jar does not give it back")
	}
	return why
}

// jarKeeps puts the cookie into a jar that knows nothing of Wafer and asks for it
// at other paths. Browsers treat loopback like https.
func (x *exam) jarKeeps(c *http.Cookie) bool {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return false
	}
	at := &url.URL{Scheme: "https", Host: x.url.Host, Path: "/session"}
	jar.SetCookies(at, []*http.Cookie{c})
	back := jar.Cookies(at.JoinPath("/oauth/authorize"))
	return slices.ContainsFunc(back, func(b *http.Cookie) bool { return b.Name == c.Name && b.Value == c.Value })
}

// checkSignIn signs in as the sign-in page's script would, with a forged address
// for checkAddress to look for.
func (x *exam) checkSignIn(ctx context.Context) finding {
	if f, ok := x.maySignIn(); !ok {
		x.noSeat = f.found
		return f
	}
	x.noSeat = "Nobody could be signed in; see cookie.signin."
	body, err := json.Marshal(map[string]string{"login": x.Login, "password": x.Password})
	if err != nil {
		return wrong("Look at the password file.", "The login cannot be sent: %s.", err)
	}
	h := x.script()
	h.Set("X-Forwarded-For", forged)
	before := x.Now()
	a := x.ask(ctx, question{method: http.MethodPost, path: "/session", header: h, body: string(body)})
	x.seat = seat{answer: a, between: [2]time.Time{before, x.Now()}}
	switch {
	case a.refusal(http.StatusUnauthorized, "unauthenticated"):
		return wrong("Look at --login and at the password file: its first line is the password.", "Wafer refuses the login or the password.")
	case a.refusal(http.StatusForbidden, "forbidden"):
		return wrong("Wafer takes its own page for a stranger's: let the proxy pass Host, Origin and Sec-Fetch-Site on unchanged.", "POST /session: %s.", a)
	case a.status == http.StatusTooManyRequests:
		return doubt("Wait, and ask again.", "Too many wrong passwords were sent for this login, or from this network: try again in %s s.", quote(a.header.Get("Retry-After")))
	case a.err == nil && a.status == http.StatusAccepted:
		return skipped("This person needs a second factor; take a login without one.")
	case a.err != nil || a.status != http.StatusCreated:
		f := unexpected("POST /session", a)
		f.fix += " A session may have begun all the same: wafer session list --user " + x.Login
		return f
	}
	return x.sitDown(ctx)
}

// maySignIn says why a password is not sent.
func (x *exam) maySignIn() (finding, bool) {
	switch {
	case x.Login == "":
		return skipped("Give --login NAME and --password-file FILE to examine this."), false
	case x.unproven:
		return skipped("The password is not sent to a server whose certificate is not trusted; see reach.tls."), false
	case !x.https() && !config.IsLoopback(x.url.Hostname()):
		return skipped("The password is not sent in the clear; see reach.url."), false
	case x.noSeat != "":
		return skipped("%s", x.noSeat), false
	}
	return finding{}, true
}

// sitDown reads the answer to a sign-in, and who the session's holder is.
func (x *exam) sitDown(ctx context.Context) finding {
	var in struct{ Session struct{ ID string } }
	if err := json.Unmarshal(x.seat.body, &in); err != nil || in.Session.ID == "" {
		return wrong("Let the proxy pass the answer on as it is.", "POST /session: 201, but no session in it.")
	}
	x.seat.id = in.Session.ID
	c, others := arrived(x.seat.answer, sessionCookie)
	if c == nil {
		return wrong(fixCookie+" The session that was begun is still there: wafer session end "+x.seat.id,
			"POST /session sets no cookie called %s%s.", sessionCookie, others)
	}
	x.seat.cookie, x.stage = c, seated
	x.seat.refusals = x.refuses(c)
	var who struct {
		Session struct {
			AuthTime time.Time `json:"auth_time"`
		}
	}
	a := x.ask(ctx, question{path: "/session", header: x.signedIn()})
	if json.Unmarshal(a.body, &who) == nil {
		x.seat.at = who.Session.AuthTime
	}
	return fine("201.")
}

// signedIn are the headers of a script while somebody is signed in.
func (x *exam) signedIn() http.Header {
	h := x.script()
	h.Set("Cookie", sessionCookie+"="+x.seat.cookie.Value)
	return h
}

func (x *exam) checkSessionCookie(context.Context) finding { return x.judgeCookie(x.seat.cookie) }

func (x *exam) checkBack(ctx context.Context) finding {
	a := x.ask(ctx, question{path: "/session", header: x.signedIn()})
	var who struct{ Session struct{ ID, Login string } }
	switch {
	case a.refusal(http.StatusUnauthorized, "unauthenticated"):
		return wrong("Does the proxy take the Cookie header off (nginx: proxy_set_header Cookie), or send requests to servers with a database each?",
			"With the cookie that was just set, GET /session says that nobody is signed in.")
	case a.err != nil || a.status != http.StatusOK:
		return unexpected("/session", a)
	case json.Unmarshal(a.body, &who) != nil || who.Session.ID != x.seat.id:
		return wrong(fixCache, "GET /session tells of another session than the one that was begun.")
	case len(x.seat.refusals) > 0:
		return wrong("See cookie.session.", "Wafer knows the cookie, but a browser would not send it.")
	}
	return fine("GET /session knows %s.", quote(who.Session.Login))
}

// Proxies read the headers of an answer into one buffer: a page of memory, or two.
const (
	smallBuffer = 4 << 10
	largeBuffer = 8 << 10
)

func (x *exam) checkSize(context.Context) finding {
	cookie := len(x.seat.cookie.Name) + len(x.seat.cookie.Value)
	headers := 0
	for name, values := range x.seat.header {
		for _, v := range values {
			headers += len(name) + len(v) + len(": \r\n")
		}
	}
	const fix = "See which headers the proxy adds; raise its buffers if they are needed (nginx: proxy_buffer_size 16k, large_client_header_buffers 4 16k)."
	switch {
	case headers > largeBuffer:
		return wrong(fix, "The headers of the answer have %d bytes; many proxies take %d.", headers, largeBuffer)
	case headers > smallBuffer:
		return doubt(fix, "The headers of the answer have %d bytes; some proxies take %d.", headers, smallBuffer)
	}
	return fine("The cookie has %d bytes of %d, the headers of the answer %d of %d.", cookie, mostCookie, headers, smallBuffer)
}

// checkSignOut ends the session, and sees that it is over.
func (x *exam) checkSignOut(ctx context.Context) finding {
	end := "The session may still be there: wafer session end " + x.seat.id
	a := x.ask(ctx, question{method: http.MethodDelete, path: "/session", header: x.signedIn()})
	if a.err != nil || a.status != http.StatusNoContent {
		f := unexpected("DELETE /session", a)
		f.fix += " " + end
		return f
	}
	after := x.ask(ctx, question{path: "/session", header: x.signedIn()})
	switch {
	case after.err == nil && after.status == http.StatusOK:
		return wrong(fixCache+" "+end, "DELETE /session was answered with 204, and yet GET /session with the same cookie tells of a session.")
	case !after.refusal(http.StatusUnauthorized, "unauthenticated"):
		return unexpected("/session", after)
	}
	if c, _ := arrived(a, sessionCookie); c == nil || c.MaxAge >= 0 {
		return doubt(fixCookie, "The session is over, but the browser is not told to forget its cookie.")
	}
	return fine("The cookie is refused afterwards; nothing is left behind.")
}
