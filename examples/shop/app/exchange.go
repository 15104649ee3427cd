package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/verify"
)

// Of an answer we read so much, and show so much.
const (
	mostRead  = 64 << 10
	mostShown = 4 << 10
)

// exchange is one request of the shop and what came back, fit to be shown.
type exchange struct {
	Request    string // the head as sent, the credential shortened
	Size       int    // of the head as sent, in bytes
	Credential int    // of that, the credential
	Kind       string // "cookie", "JWT" or "" for none
	Status     int    // 0: no answer
	Answer     string
	Trouble    string // why there is no answer, or not all of it
	Took       time.Duration
}

// Refused reports whether the credential was refused, as opposed to any other
// failure.
func (e *exchange) Refused() bool { return e != nil && e.Status == http.StatusUnauthorized }

// OK reports whether the call was answered as wished.
func (e *exchange) OK() bool { return e != nil && e.Status/100 == 2 }

// errand is a request to be made.
type errand struct {
	method, url string
	cookie      string // Wafer's session cookie
	device      string // Wafer's known-device cookie
	bearer      string
	body        []byte
	bodyType    string
}

// reply is what came back, for us only.
type reply struct {
	header http.Header
	body   []byte
}

// run makes the request. The exchange says everything that may be shown, also of
// a failure; the body of the reply is nil unless all of it arrived.
func (s *shop) run(ctx context.Context, e errand) (*exchange, reply) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	x := &exchange{}
	req, err := e.request(ctx)
	if err != nil {
		x.Trouble = "The request cannot be made."
		s.Logger.Warn("make request", "error", err)
		return x, reply{}
	}
	x.describe(req, e)
	start := s.Now()
	res, err := s.client.Do(req)
	if err != nil {
		x.Took = s.Now().Sub(start)
		x.Trouble = s.trouble(req.URL.Host, err)
		return x, reply{}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, mostRead+1))
	x.Took = s.Now().Sub(start)
	x.Status = res.StatusCode
	switch {
	case err != nil:
		x.Trouble = s.trouble(req.URL.Host, err)
		return x, reply{header: res.Header}
	case len(b) > mostRead:
		x.Trouble = "The answer is over 64 KiB. The rest was not read."
		x.Answer = show(b[:mostShown])
		return x, reply{header: res.Header}
	}
	x.Answer = show(b)
	return x, reply{res.Header, b}
}

func (e errand) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, e.method, e.url, bytes.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "wafer-demo-shop")
	if e.bodyType != "" {
		req.Header.Set("Content-Type", e.bodyType)
	}
	if e.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+e.bearer)
	}
	var pairs []string
	if e.cookie != "" {
		pairs = append(pairs, verify.CookieName+"="+e.cookie)
	}
	if e.device != "" {
		pairs = append(pairs, verify.CookieName+"-device="+e.device)
	}
	if len(pairs) > 0 {
		req.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	return req, nil
}

// describe writes the request down as it goes over the wire.
func (x *exchange) describe(req *http.Request, e errand) {
	head, err := httputil.DumpRequestOut(req, false)
	if err != nil { // the same fault will stop the call itself
		return
	}
	x.Size = len(head)
	switch {
	case e.bearer != "":
		x.Kind, x.Credential = "JWT", len(e.bearer)
	case e.cookie != "":
		x.Kind, x.Credential = "cookie", len(e.cookie)
	}
	text := strings.ReplaceAll(string(head), "\r\n", "\n")
	x.Request = strings.TrimSpace(redact(text, e.cookie, e.device, e.bearer))
}

// trouble says why there is no answer. The cause goes to the log.
func (s *shop) trouble(host string, err error) string {
	s.Logger.Warn("no answer", "host", host, "error", err)
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return host + " did not answer within " + s.Timeout.String() + "."
	case errors.Is(err, syscall.ECONNREFUSED):
		return host + " takes no connection. Is it running?"
	case errors.Is(err, context.Canceled):
		return "The browser left before " + host + " answered."
	}
	return host + " cannot be reached. The shop's log has the cause."
}

// show makes text of an answer: JSON with line breaks, anything else as it is.
func show(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(b), "", "  ") == nil {
		b = innermost.ReplaceAllFunc(out.Bytes(), oneLine)
	}
	text := strings.ToValidUTF8(string(b), "\uFFFD")
	if len(text) <= mostShown {
		return text
	}
	cut := mostShown
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "\n…"
}

// innermost matches what is small enough to stand on one line: an object in a
// list. No JSON string holds a line break, so that only the layout changes.
var innermost = regexp.MustCompile(`(?m)\{\n {6}[^{}\[\]]*\n {4}\}`)

var lineBreak = regexp.MustCompile(`\n *`)

func oneLine(b []byte) []byte {
	short := lineBreak.ReplaceAll(b, []byte(" "))
	if len(short) > 72 {
		return b
	}
	return short
}

// shorten keeps both ends of a credential, enough to recognize it and far too
// little to use it.
func shorten(secret string) string {
	if len(secret) < 24 {
		return "…"
	}
	return secret[:8] + "…" + secret[len(secret)-4:]
}

// redact shortens every secret in text.
func redact(text string, secrets ...string) string {
	for _, one := range secrets {
		if one != "" {
			text = strings.ReplaceAll(text, one, shorten(one))
		}
	}
	return text
}
