package middleware

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
)

// Origins knows the origins of registered clients. It reads the register again
// when what it knows is older than Fresh, so that a change is felt at every node
// without a restart.
type Origins struct {
	List  func(ctx context.Context) ([]client.Client, error)
	Now   func() time.Time
	Fresh time.Duration
	Log   *slog.Logger

	mu    sync.Mutex
	known map[string]bool // origin -> whether a first-party client has it
	read  time.Time
}

// Registered reports whether an enabled client has this origin.
func (o *Origins) Registered(ctx context.Context, origin string) bool {
	_, ok := o.look(ctx)[origin]
	return ok
}

// FirstParty reports whether an enabled first-party client has this origin.
func (o *Origins) FirstParty(ctx context.Context, origin string) bool {
	return o.look(ctx)[origin]
}

// look returns the known origins. When the register cannot be read, what was
// known holds on, and nothing new is trusted.
func (o *Origins) look(ctx context.Context) map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	if o.known != nil && now.Sub(o.read) < o.Fresh {
		return o.known
	}
	all, err := o.List(ctx)
	if err != nil {
		o.Log.WarnContext(ctx, "origins of clients cannot be read", "cause", err.Error())
		return o.known
	}
	known := map[string]bool{}
	for _, c := range slices.DeleteFunc(slices.Clone(all), func(c client.Client) bool { return c.Disabled }) {
		for _, origin := range c.Origins {
			known[origin] = known[origin] || c.FirstParty
		}
	}
	o.known, o.read = known, now
	return known
}
