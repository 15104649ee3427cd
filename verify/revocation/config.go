package revocation

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/internal/wire"
)

// Config is what a Feed must know.
type Config struct {
	// Issuer is the server's URL, as it stands in iss. Required.
	Issuer string
	// ClientID and ClientSecret are the service's own; the client needs the scope
	// feed:read of the management API. Required without Hub.
	ClientID, ClientSecret string
	// URL is where the feed is: Issuer + "/feed", or a relay's.
	URL string
	// Hub is followed instead of URL.
	Hub Hub
	// Name is shown in the list of verifiers: the machine's name and the process id.
	Name string
	// Audience and Policy are shown there as well.
	Audience, Policy string
	// MaxStale shortens the lease that the issuer grants; it cannot lengthen it.
	MaxStale time.Duration
	// Relay says that the feed is passed on.
	Relay bool
	// Client makes the calls; its redirect policy is replaced by a narrower one.
	Client *http.Client
	// Now is the clock: time.Now.
	Now func() time.Time
	// Elapsed is a clock that only runs forward: the monotonic part of Now.
	Elapsed func() time.Duration
	// Logger hears when the feed is lost and when it is back: slog.Default().
	Logger *slog.Logger
}

// Times that nothing outside needs to set.
const (
	callTimeout   = 5 * time.Second
	leaveTimeout  = time.Second
	shortestPause = 50 * time.Millisecond // between two tries
	longestPause  = 5 * time.Second
	sweepEvery    = 15 * time.Minute // of entries that nobody needs any more
	sweepSkew     = 2 * time.Minute  // how wrong this clock may be about that
	keysEvery     = 5 * time.Minute  // look whether a key is no longer published
	keysPause     = time.Second      // between two looks for a key that is not known
)

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("revocation: "+format, args...)) }
	if c.Issuer == "" {
		bad("Issuer is empty: set it to the issuer's URL exactly as it stands in iss")
	}
	if c.Hub == nil {
		if err := wire.CheckURL(c.Issuer); err != nil && c.Issuer != "" {
			bad("Issuer %q: %w", c.Issuer, err)
		}
		if err := wire.CheckURL(c.URL); err != nil && c.URL != "" {
			bad("URL %q: %w", c.URL, err)
		}
		if c.ClientID == "" || c.ClientSecret == "" {
			bad("ClientID or ClientSecret is empty: the feed is for clients with the scope feed:read")
		}
	}
	if c.MaxStale < 0 {
		bad("MaxStale is %s: it must not be negative", c.MaxStale)
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	if c.URL == "" {
		c.URL = c.Issuer + "/feed"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Name = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	return c
}
