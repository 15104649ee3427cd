package courier

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/outbox"
)

// The bounds of a letter and its answer.
const (
	DefaultTimeout = 10 * time.Second
	mostAnswer     = 4 << 10
	mostHeader     = 16 << 10
)

// Config is what a Courier is made of. Issuer is needed.
type Config struct {
	// Issuer decides about loopback: a server that is itself on loopback, in
	// development, may send there.
	Issuer string
	// Allow are networks that may be sent to though they are not public.
	Allow []netip.Prefix
	// Timeout bounds a letter from the look-up of the name to the end of the answer.
	// Default DefaultTimeout.
	Timeout time.Duration
	// Roots are whom certificates are believed by. Default those of the machine.
	Roots *x509.CertPool
}

// Courier sends letters. It is safe for concurrent use.
type Courier struct {
	reach   reach
	timeout time.Duration
	client  http.Client
	close   func()
}

// New returns a courier.
func New(c Config) (*Courier, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" {
		return nil, fmt.Errorf("issuer %q is no address", c.Issuer)
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	r := reach{loopback: client.IsLoopback(issuer.Hostname()), allowed: c.Allow}
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 15 * time.Second, Control: r.control}
	transport := &http.Transport{
		Proxy:       nil, // the proxy would connect for us, wherever it is told to
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout, MaxResponseHeaderBytes: mostHeader,
		MaxConnsPerHost: 4, MaxIdleConns: 64, IdleConnTimeout: 30 * time.Second,
	}
	k := &Courier{reach: r, timeout: c.Timeout, close: transport.CloseIdleConnections}
	k.client = http.Client{
		Transport: transport, Timeout: c.Timeout,
		// What an address says is not what the address it names was checked for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return k, nil
}

// Close ends idle connections.
func (k *Courier) Close() { k.close() }

// Post implements outbox.Post. Its errors hold no query of an address.
func (k *Courier) Post(ctx context.Context, l outbox.Letter) (outbox.Reply, error) {
	if err := k.admit(l.URL); err != nil {
		return outbox.Reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL, bytes.NewReader(l.Body))
	if err != nil {
		return outbox.Reply{}, errors.New("the address cannot be posted to")
	}
	r.Header.Set("User-Agent", "wafer")
	r.Header.Set("Content-Type", l.ContentType)
	if l.Accept != "" {
		r.Header.Set("Accept", l.Accept)
	}
	if l.Authorization != "" {
		r.Header.Set("Authorization", l.Authorization)
	}
	answer, err := k.client.Do(r)
	if err != nil {
		return outbox.Reply{}, bare("post", err)
	}
	defer func() { _ = answer.Body.Close() }() // nothing more is wanted of it
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil && answer.StatusCode < 300 {
		// The status says it all; what the rest of the answer says does not matter.
		body, err = nil, nil
	}
	if err != nil {
		return outbox.Reply{}, bare("post", err)
	}
	return outbox.Reply{Status: answer.StatusCode, Body: body, After: after(answer.Header.Get("Retry-After"))}, nil
}

// admit refuses what no connection is needed to refuse. Plain HTTP goes no further
// than this machine: what it carries would be anybody's.
func (k *Courier) admit(raw string) error {
	if err := client.CheckEndpoint(raw); err != nil {
		return fmt.Errorf("%w: not https, nor http on loopback", ErrForbidden)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("%w: no address", ErrForbidden)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !k.reach.open(a) {
		return fmt.Errorf("%w: %s", ErrForbidden, a.Unmap())
	}
	return nil
}

// bare is an error without the address around it.
func bare(what string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// after reads Retry-After in seconds; the form with a date is not worth a clock.
func after(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 24*60*60 {
		return 0
	}
	return time.Duration(n) * time.Second
}
