package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// mostAnswer is the most bytes of an answer that are read.
const mostAnswer = 1 << 20

// web asks one host, and none else.
type web struct {
	rt    *http.Transport
	base  string // of the target
	plain string // the same host by plain HTTP on its own port
}

// newWeb is called once the certificate was looked at.
func (x *exam) newWeb() *web {
	u := *x.url
	u.Scheme, u.Host = "http", bracketed(x.url.Hostname())
	allowed := map[string]bool{x.address(): true, net.JoinHostPort(x.url.Hostname(), "80"): true}
	return &web{base: x.base, plain: u.Scheme + "://" + u.Host, rt: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !allowed[address] {
				return nil, fmt.Errorf("%s is not what is examined", address)
			}
			return x.Dial(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: x.CA, Time: x.Now,
			InsecureSkipVerify: x.unproven, //nolint:gosec // checkTLS has reported it; nothing secret is sent then
		},
		DisableCompression: true, MaxResponseHeaderBytes: 256 << 10,
	}}
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// question is one request. The zero method is GET.
type question struct {
	method, path string
	host         string // another Host header, "" for the right one
	header       http.Header
	body         string
	plain        bool // by plain HTTP, on its own port
}

// answer is what came. Either err is set or status is not 0.
type answer struct {
	err           error
	status        int
	header        http.Header
	body          []byte
	local, remote netip.Addr // both ends of the connection
}

// ask sends one request and follows no redirect.
func (x *exam) ask(ctx context.Context, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, perProbe)
	defer cancel()
	var a answer
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		a.local, a.remote = addressOf(info.Conn.LocalAddr()), addressOf(info.Conn.RemoteAddr())
	}})
	at := x.web.base
	if q.plain {
		at = x.web.plain
	}
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, at+q.path, body)
	if err != nil {
		a.err = err
		return a
	}
	if q.header != nil {
		r.Header = q.header.Clone()
	}
	r.Header.Set("User-Agent", "wafer-doctor")
	r.Host = q.host
	res, err := x.web.rt.RoundTrip(r)
	if err != nil {
		a.err = err
		return a
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, mostAnswer)); err != nil {
		a.err = fmt.Errorf("the answer breaks off: %w", err)
	}
	return a
}

func (x *exam) get(ctx context.Context, path string) answer { return x.ask(ctx, question{path: path}) }

func addressOf(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// navigation are the headers of a browser that opens a page.
func navigation() http.Header {
	return http.Header{
		"Accept": {"text/html,application/xhtml+xml"}, "Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
	}
}

// script are the headers of a script on one of Wafer's own pages.
func (x *exam) script() http.Header {
	return http.Header{
		"Accept": {"application/json"}, "Origin": {x.base}, "Content-Type": {"application/json"},
		"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"},
	}
}

// is reports whether the body is said to be of a media type.
func (a answer) is(mediaType string) bool {
	got, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && got == mediaType
}

// code returns the "error" member of a refusal of Wafer's, "" for anything else.
func (a answer) code() string {
	var body struct{ Error string }
	if a.err != nil || !a.is("application/json") || json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	return body.Error
}

// refusal reports whether Wafer itself refused with a status and a code.
func (a answer) refusal(status int, code string) bool { return a.status == status && a.code() == code }

func (a answer) redirects() bool {
	return a.err == nil && a.status >= 300 && a.status < 400 && a.status != 304
}

// location returns where a redirect leads, as an absolute URL; nil for nowhere.
func (a answer) location(from string) *url.URL {
	base, err := url.Parse(from)
	if err != nil || a.header.Get("Location") == "" {
		return nil
	}
	to, err := base.Parse(a.header.Get("Location"))
	if err != nil {
		return nil
	}
	return to
}

// String says in one line what came.
func (a answer) String() string {
	if a.err != nil {
		return "no answer: " + sayError(a.err)
	}
	s := fmt.Sprint(a.status)
	if a.redirects() {
		return s + " to " + quote(a.header.Get("Location"))
	}
	if t, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err == nil {
		s += " " + t
	}
	if code := a.code(); code != "" {
		return s + " " + quote(code)
	}
	if server := a.header.Get("Server"); server != "" {
		s += " from " + quote(server)
	}
	return s
}

// sayError says in plain words why nothing came.
func sayError(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("nothing came within %s", perProbe)
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	}
	return err.Error()
}

// unexpected explains an answer that is none of Wafer's, or not the one that a
// healthy Wafer gives at path.
func unexpected(path string, a answer) finding {
	found := path + ": " + a.String()
	switch {
	case a.err != nil:
		return wrong("Look into the logs of Wafer and of the proxy for this path.", "%s", found)
	case a.refusal(http.StatusMisdirectedRequest, "misdirected"):
		return wrong(fixHost, "%s", found)
	case a.status >= 502 && a.status <= 504 && a.code() == "":
		return wrong("The proxy has no good answer from Wafer: is it up, is the address in proxy_pass right, are its headers larger than the "+
			"proxy's buffer (nginx: proxy_buffer_size 8k)? The proxy's error log says which.", "%s", found)
	case a.status >= 500:
		return wrong("Look into Wafer's log for this request id: "+quote(a.header.Get("X-Request-Id"))+".", "%s", found)
	case a.redirects():
		return wrong("The proxy redirects what it should pass on: let it send every path to Wafer unchanged.", "%s", found)
	case a.code() == "":
		return wrong("Something before Wafer answers: let the proxy send every path and method to Wafer unchanged.", "%s", found)
	}
	return wrong("Wafer refuses this; its log says more for the request id "+quote(a.header.Get("X-Request-Id"))+".", "%s", found)
}
