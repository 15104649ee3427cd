package sqlstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A bell wakes who waits in this process.
type bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

// next is closed when the bell rings the next time.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// doorbell is what a transaction notifies when other nodes should look at the log
// again. It says no more than that: what is missed is only seen later.
const doorbell = "wafer_log"

// An ear is the goroutine that hears what other nodes notify, from when it is first
// needed until the store is closed.
type ear struct {
	mu     sync.Mutex
	begun  bool
	closed bool
	stop   context.CancelFunc
	done   chan struct{}
}

func (e *ear) begin(hear func(context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun || e.closed {
		return
	}
	var ctx context.Context
	ctx, e.stop = context.WithCancel(context.Background())
	e.begun, e.done = true, make(chan struct{})
	go func() {
		defer close(e.done)
		hear(ctx)
	}()
}

func (e *ear) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.begun {
		e.stop()
		<-e.done
	}
}

// listen begins to hear other nodes, where there can be some.
func (s *Store) listen() {
	f, ok := s.engine.(*far)
	if !ok {
		return
	}
	s.ear.begin(func(ctx context.Context) {
		const soon, late = 50 * time.Millisecond, 5 * time.Second
		for wait := soon; ctx.Err() == nil; wait = min(2*wait, late) {
			if f.hear(ctx, s.heard) {
				wait = soon
			}
			again := time.NewTimer(wait)
			select {
			case <-again.C:
			case <-ctx.Done():
				again.Stop()
			}
		}
	})
}

// heard is told which backend rang, 0 when nobody knows what was missed. Our own
// writer rings in this process by itself.
func (s *Store) heard(backend uint32) {
	if backend == 0 || backend != s.backend.Load() {
		s.bell.ring()
	}
}

// hear listens on a connection of its own until that is lost or ctx ends. It
// reports whether it could.
func (f *far) hear(ctx context.Context, heard func(backend uint32)) bool {
	bound, cancel := f.bound(ctx)
	defer cancel()
	c, err := pgx.ConnectConfig(bound, f.config.Copy())
	if err != nil {
		return false
	}
	defer func() {
		brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.Close(brief) // nothing was written on it
	}()
	if _, err := c.Exec(bound, "LISTEN "+doorbell); err != nil {
		return false
	}
	heard(0) // what was notified before is not heard
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return true
		}
		heard(n.PID)
	}
}
