package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"github.com/wafer-auth/wafer/internal/fault"
)

// How long things may take at most.
const (
	dialPatience = 3 * time.Second
	patience     = 2 * time.Second // one answer, whatever the caller's context says
)

// Config says where the records are.
type Config struct {
	// URL is redis://[user:password@]host[:port][/database], rediss:// for TLS
	// or unix://[user:password@]/path/to/redis.sock?db=number. Options are
	// prefix=TEXT, before all keys ("wafer:" unless set), and for rediss ca=FILE,
	// certificates to trust instead of the system's.
	URL string
	Now func() time.Time
	Log *slog.Logger // nil: nothing is logged
}

// Home keeps session records in Redis. What does not answer, or refuses for the
// time being, is fault.Unavailable, after two seconds at the latest; it is
// connected again by itself. A value under our keys that is not ours is an error
// that names the key.
type Home struct {
	client  rueidis.Client
	place   place
	scripts scripts
	now     func() time.Time
	log     *slog.Logger
	lost    atomic.Pointer[time.Time] // since when it does not answer, nil while it does
	close   sync.Once
}

// Open connects to a server and makes sure that it can keep records: it is no
// cluster, no replica, not older than Redis 6.2. The error says what is wrong
// with which server, and never holds the password.
func Open(ctx context.Context, c Config) (*Home, error) {
	p, err := parsePlace(c.URL)
	if err != nil {
		return nil, fmt.Errorf("address of Redis: %w", err)
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Home{place: p, scripts: newScripts(), now: c.Now, log: log}
	if h.client, err = connect(ctx, p); err == nil {
		if err = h.suits(ctx); err != nil {
			h.client.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sessions in Redis at %s: %w", p.address, explained(err, p))
	}
	return h, nil
}

func connect(ctx context.Context, p place) (rueidis.Client, error) {
	type opened struct {
		client rueidis.Client
		err    error
	}
	done := make(chan opened, 1)
	go func() {
		client, err := rueidis.NewClient(options(p))
		if err != nil {
			closeClient(client)
		}
		done <- opened{client, err}
	}()
	select {
	case o := <-done:
		return o.client, o.err
	case <-ctx.Done():
		go func() {
			if o := <-done; o.err == nil {
				closeClient(o.client)
			}
		}()
		return nil, ctx.Err()
	}
}

func closeClient(c rueidis.Client) {
	if c != nil {
		c.Close()
	}
}

func options(p place) rueidis.ClientOption {
	o := rueidis.ClientOption{
		InitAddress: []string{p.address}, Username: p.user, Password: p.password, SelectDB: p.database, TLSConfig: p.tls, ClientName: "wafer",
		Dialer:           net.Dialer{Timeout: dialPatience, KeepAlive: time.Second},
		ConnWriteTimeout: patience,
		// A record must be the server's: a copy here would let somebody in whose
		// session another node has just ended.
		DisableCache: true,
		// Calls that come at once share a write, and one connection serves them
		// all. It is read from all the while, so that a server that went away is
		// noticed at once and not by the next call.
		AlwaysPipelining: true, PipelineMultiplex: -1,
		ForceSingleClient:  true,
		ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		// What may be sent twice is, once.
		RetryDelay: func(attempts int, _ rueidis.Completed, _ error) time.Duration {
			if attempts > 1 {
				return -1
			}
			return 20 * time.Millisecond
		},
	}
	if p.socket {
		o.DialCtxFn = func(ctx context.Context, address string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return d.DialContext(ctx, "unix", address)
		}
	}
	return o
}

// explained adds what an operator can do.
func explained(err error, p place) error {
	text := err.Error()
	for _, hint := range []struct{ says, hint string }{
		{"WRONGPASS", "the user or the password in the URL is wrong"},
		{"invalid password", "the password in the URL is wrong"},
		{"NOAUTH", "it wants a password, and the URL has none"},
		{"NOPERM", "its access list forbids what is needed; allow ~PREFIX* +@all -@admin -@dangerous +info +config|get"},
		{"first record does not look like a TLS handshake", "it does not speak TLS here; use redis://"},
		{"DB index is out of range", "it does not have this database"},
	} {
		if strings.Contains(text, hint.says) {
			return fmt.Errorf("%s: %w", hint.hint, err)
		}
	}
	// A server without TLS waits for the rest of a command that never comes.
	if errors.Is(err, context.DeadlineExceeded) && p.tls != nil {
		return fmt.Errorf("it does not answer in time; does it speak TLS on this port? %w", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it does not answer in time: %w", err)
	}
	return err
}

// await waits for an answer as long as the caller does, and no longer than
// patience. The client alone would not: it makes callers wait for a connection
// that somebody else is opening. The work gets no context, so that a caller who
// is in a hurry does not break the connection for others; it ends by itself, when
// the connection is given up.
func await[T any](ctx context.Context, h *Home, work func() T) (answer T, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan T, 1)
	go func() { done <- work() }()
	select {
	case answer = <-done:
		return answer, nil
	case <-limited.Done():
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return answer, err
	} else if err != nil {
		return answer, h.unavailable(err)
	}
	return answer, h.away(limited.Err())
}

// do sends one command.
func (h *Home) do(ctx context.Context, c rueidis.Completed) (rueidis.RedisResult, error) {
	answer, err := await(ctx, h, func() rueidis.RedisResult { return h.client.Do(context.Background(), c) })
	if err != nil {
		return answer, err
	}
	return answer, h.verdict(answer.Error())
}

// run runs a script and returns the texts it answers with.
func (h *Home) run(ctx context.Context, s *rueidis.Lua, args ...string) ([]string, error) {
	args = append([]string{h.place.prefix}, args...)
	answer, err := await(ctx, h, func() rueidis.RedisResult { return s.Exec(context.Background(), h.client, nil, args) })
	if err != nil {
		return nil, err
	}
	return h.texts(answer)
}

func (h *Home) texts(answer rueidis.RedisResult) ([]string, error) {
	if err := h.verdict(answer.Error()); err != nil {
		return nil, err
	}
	texts, err := answer.AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: answer of a script: %w", err)
	}
	if len(texts) == 2 && texts[0] == unreadable {
		return nil, h.foreign(texts[1])
	}
	return texts, nil
}

// verdict turns what the client says into our errors.
func (h *Home) verdict(err error) error {
	var refused *rueidis.RedisError
	switch {
	case err == nil || rueidis.IsRedisNil(err):
		h.back()
		return nil
	case errors.Is(err, rueidis.ErrClosing):
		return h.unavailable(err)
	case errors.As(err, &refused) && !passing(refused.Error()):
		return h.unavailable(err)
	}
	return h.away(err)
}

// passing reports whether a server says that it serves nobody for the time being.
func passing(text string) bool {
	for _, word := range []string{"LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "BUSY"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func (h *Home) unavailable(err error) error {
	return fault.Wrap(fmt.Errorf("redis at %s: %w", h.place.address, err), fault.Unavailable, "The place where sessions are kept does not answer.")
}

func (h *Home) foreign(key string) error {
	return fmt.Errorf("redis at %s: the key %q holds something that is not Wafer's", h.place.address, key)
}

// away notes an outage; the first to see it logs it.
func (h *Home) away(err error) error {
	now := h.now()
	if h.lost.CompareAndSwap(nil, &now) {
		h.log.Warn("sessions cannot be read or written: Redis does not serve", "redis", h.place.address, "error", err)
	}
	return h.unavailable(err)
}

func (h *Home) back() {
	if h.lost.Load() == nil {
		return
	}
	if since := h.lost.Swap(nil); since != nil {
		h.log.Info("Redis serves again", "redis", h.place.address, "after", h.now().Sub(*since))
	}
}
