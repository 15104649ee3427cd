package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/verify/internal/wire"
)

const (
	introspectPath     = "/oauth/introspect"
	defaultTimeout     = 2 * time.Second
	defaultConcurrency = 64
	maxAnswer          = 64 << 10
)

var (
	errOtherToken = errors.New("the answer is about another token")
	errNoServer   = errors.New("there is no server to ask")
)

// ServerConfig says how to ask Wafer about a credential.
type ServerConfig struct {
	// Issuer is Wafer's URL; it is asked at Issuer + "/oauth/introspect". Required unless IntrospectURL is set.
	Issuer string
	// IntrospectURL is used instead, where the way there is another than the issuer's own.
	IntrospectURL string
	// ClientID and ClientSecret are this service's own, with the scope sessions:check. Required.
	ClientID, ClientSecret string
	// Client makes the calls; its redirect policy is not used, because redirects are refused.
	Client *http.Client
	// Timeout bounds one question, waiting for a free slot included: 2 s.
	Timeout time.Duration
	// Concurrency bounds the questions in flight: 64.
	Concurrency int
}

// Server asks the issuer about credentials (RFC 7662). It is safe for concurrent use.
type Server struct {
	issuer        string
	url           string
	authorization string
	client        *http.Client
	timeout       time.Duration
	slots         chan struct{}
	down          atomic.Bool
}

// NewServer makes a Server, or tells everything that is wrong at once. It asks nothing yet.
func NewServer(c ServerConfig) (*Server, error) {
	target := c.IntrospectURL
	if target == "" && c.Issuer != "" {
		target = strings.TrimSuffix(c.Issuer, "/") + introspectPath
	}
	if err := c.validate(target); err != nil {
		return nil, err
	}
	s := &Server{
		issuer: c.Issuer, url: target, authorization: wire.Basic(c.ClientID, c.ClientSecret),
		timeout: c.Timeout,
	}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
	}
	if c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	s.slots = make(chan struct{}, c.Concurrency)
	s.client = wire.Client(c.Client, c.Concurrency)
	return s, nil
}

func (c ServerConfig) validate(target string) error {
	var errs []error
	if target == "" {
		errs = append(errs, errors.New("verify: neither Issuer nor IntrospectURL is set"))
	} else if err := wire.CheckURL(target); err != nil {
		errs = append(errs, fmt.Errorf("verify: introspection URL %q: %w", target, err))
	}
	if c.ClientID == "" || c.ClientSecret == "" {
		errs = append(errs, errors.New("verify: ClientID or ClientSecret is empty: the issuer answers only to known clients"))
	}
	if c.Timeout < 0 || c.Concurrency < 0 {
		errs = append(errs, errors.New("verify: Timeout and Concurrency must not be negative"))
	}
	return errors.Join(errs...)
}

type question struct {
	token, hint, api string
	once             bool // use the token up
	prove            func(Confirmation) error
}

// ask puts the question and types the answer. An answer that cannot be had or
// cannot be read is ErrUnavailable: nobody knows whether the credential is good.
func (v *Verifier) ask(ctx context.Context, q question) (*claims, error) {
	v.counts.asked.Add(1)
	if v.feed != nil {
		if err := v.breaker.allow(v.now()); err != nil {
			return nil, err
		}
	}
	body, err := v.server.introspect(ctx, q)
	if v.feed != nil && ctx.Err() == nil {
		v.breaker.done(v.now(), err)
	}
	v.notice(ctx, err)
	if err != nil {
		return nil, unavailable("ask the issuer", err)
	}
	c := &claims{id: &Identity{}}
	if err := v.readClaims(c, string(body)); err != nil {
		return nil, fmt.Errorf("%w: the issuer's answer cannot be read", ErrUnavailable)
	}
	return c, nil
}

// notice logs when the issuer goes away and when it comes back, not every time.
func (v *Verifier) notice(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // the caller went away; that says nothing about the issuer
	}
	switch down := err != nil; {
	case down && v.server.down.CompareAndSwap(false, true):
		v.log.WarnContext(ctx, "issuer cannot be asked", "cause", err)
	case !down && v.server.down.CompareAndSwap(true, false):
		v.log.InfoContext(ctx, "issuer answers again")
	}
}

func (s *Server) introspect(ctx context.Context, q question) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a free slot: %w", ctx.Err())
	}
	form := url.Values{"token": {q.token}, "token_type_hint": {q.hint}}
	if q.api != "" {
		form.Set("api", q.api)
	}
	if q.once {
		form.Set("once", "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", s.authorization)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("status %d: check this service's client id, secret and its scope sessions:check", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", res.StatusCode)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("answer is longer than %d bytes", maxAnswer)
	}
	return body, nil
}
