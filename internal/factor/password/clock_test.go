package password_test

import (
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

// clock is a clock that moves only by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock {
	return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cheap are parameters that cost nothing: the tests are about everything else.
var cheap = password.Params{Memory: 8, Time: 1, Threads: 1}

func newHasher(t testing.TB, c password.Config) *password.Hasher {
	t.Helper()
	if c.Params == (password.Params{}) {
		c.Params = cheap
	}
	if c.Now == nil {
		c.Now = newClock().now
	}
	if c.Cost == 0 {
		c.Cost = 30 * time.Millisecond
	}
	h, err := password.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
