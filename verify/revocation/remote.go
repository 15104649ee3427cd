package revocation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/internal/wire"
	"github.com/wafer-auth/wafer/verify/jose"
)

// What a hub may send at most, in bytes.
const (
	keysMostBytes     = 256 << 10
	registerMost      = 64 << 10
	snapshotMost      = 512 << 20
	lineMost          = frameMost + 64
	silenceMost       = 45 * time.Second // without even a heartbeat: three times as long as hubs wait
	streamConnections = 4
)

// Remote is a hub over HTTP.
type Remote struct {
	issuer, url   string
	authorization string
	client        *http.Client
}

var _ Hub = (*Remote)(nil)

// NewRemote makes the hub that a Feed with the same configuration follows.
func NewRemote(c Config) (*Remote, error) {
	c.Hub = nil
	if err := c.validate(); err != nil {
		return nil, err
	}
	return newRemote(c.withDefaults()), nil
}

func newRemote(c Config) *Remote {
	client := wire.Client(c.Client, streamConnections)
	client.Timeout = 0 // the stream has no end; calls have a deadline each
	return &Remote{issuer: c.Issuer, url: strings.TrimSuffix(c.URL, "/"), authorization: wire.Basic(c.ClientID, c.ClientSecret), client: client}
}

// Keys implements Hub. They come from the issuer, not from a relay.
func (r *Remote) Keys(ctx context.Context) (jose.KeySet, error) {
	body, err := r.call(ctx, call{method: http.MethodGet, url: r.issuer + "/feed/jwks.json", most: keysMostBytes})
	if err != nil {
		return nil, err
	}
	keys, err := jose.ParseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("%w: key set: %w", ErrWire, err)
	}
	return keys, nil
}

// Register implements Hub.
func (r *Remote) Register(ctx context.Context, reg Registration) (Registered, error) {
	body, err := r.post(ctx, call{url: r.url + "/register", authorization: r.authorization, most: registerMost}, reg)
	if err != nil {
		return Registered{}, err
	}
	if _, err := fields(body, "verifier", "ticket", "lease_key", "secret", "epoch", "head", "renew_ms", "lease_ms"); err != nil {
		return Registered{}, err
	}
	var out Registered
	if err := json.Unmarshal(body, &out); err != nil {
		return Registered{}, fmt.Errorf("%w: registration: %w", ErrWire, err)
	}
	return out, nil
}

// Renew implements Hub.
func (r *Remote) Renew(ctx context.Context, ticket string, ask Ask) (string, error) {
	body, err := r.post(ctx, call{url: r.url + "/lease", authorization: "Bearer " + ticket, most: answerMost}, ask)
	return string(bytes.TrimSuffix(body, []byte{'\n'})), err
}

// Snapshot implements Hub.
func (r *Remote) Snapshot(ctx context.Context, ticket string, least Position) ([]byte, error) {
	return r.call(ctx, call{
		method: http.MethodGet, url: r.url + "/snapshot?least=" + url.QueryEscape(least.String()), authorization: "Bearer " + ticket, most: snapshotMost,
	})
}

// Leave implements Hub.
func (r *Remote) Leave(ctx context.Context, ticket string) error {
	_, err := r.call(ctx, call{method: http.MethodDelete, url: r.url + "/register", authorization: "Bearer " + ticket, most: registerMost})
	return err
}

// call is one request.
type call struct {
	method, url, authorization string
	body                       []byte
	most                       int64
}

func (r *Remote) post(ctx context.Context, c call, in any) ([]byte, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	c.method, c.body = http.MethodPost, b
	return r.call(ctx, c)
}

func (r *Remote) call(ctx context.Context, c call) ([]byte, error) {
	res, err := r.send(ctx, c)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, c.most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > c.most {
		return nil, fmt.Errorf("%w: answer is longer than %d bytes", ErrWire, c.most)
	}
	return body, nil
}

// send answers only with what is a success.
func (r *Remote) send(ctx context.Context, c call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusCreated, res.StatusCode == http.StatusNoContent:
		return res, nil
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		err = fmt.Errorf("%w: status %d: check this service's client id, secret and its scope feed:read", ErrRefused, res.StatusCode)
	default:
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return nil, errors.Join(err, res.Body.Close())
}

// Follow implements Hub: an event stream. A connection that brings not even a
// heartbeat for a while is given up.
func (r *Remote) Follow(ctx context.Context, ticket string, after Position, deliver func(frame string, eager bool) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceMost, func() { cancel(errSilent) })
	defer silence.Stop()
	res, err := r.send(ctx, call{
		method: http.MethodGet, url: r.url + "/events?from=" + url.QueryEscape(after.String()), authorization: "Bearer " + ticket,
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 8<<10), lineMost)
	var e event
	for lines.Scan() {
		silence.Reset(silenceMost)
		whole := e.line(lines.Text())
		if !whole {
			continue
		}
		if eager := e.name == "eager"; eager || e.data != "" {
			if err := deliver(e.data, eager); err != nil {
				return err
			}
		}
		e = event{}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return io.EOF
}

var errSilent = errors.New("the hub is silent")

// event is one event of the stream, as far as we need it (WHATWG HTML section 9.2.6).
type event struct{ name, data string }

// line takes one line in, and reports whether it ends the event.
func (e *event) line(s string) (whole bool) {
	if s == "" {
		return true
	}
	field, value, _ := strings.Cut(s, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		e.name = value
	case "data":
		e.data = value // frames are single lines
	}
	return false
}
