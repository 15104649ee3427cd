package file

import (
	"context"
	"sync"
	"sync/atomic"
)

// turns let one change at a time happen to a session.
type turns struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the turn is over
}

// take waits for the turn of a session. It fails only with the context.
func (t *turns) take(ctx context.Context, id string) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.mu.Lock()
		over, busy := t.held[id]
		if !busy {
			if t.held == nil {
				t.held = map[string]chan struct{}{}
			}
			t.held[id] = make(chan struct{})
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
}

func (t *turns) give(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.held[id])
	delete(t.held, id)
}

// hands is how many parts of one call are done at once.
const hands = 8

// each does something n times, a few at once, until one fails.
func each(n int, do func(i int) error) error {
	if n == 1 {
		return do(0)
	}
	var next atomic.Int64
	var first atomic.Pointer[error]
	var all sync.WaitGroup
	for range min(n, hands) {
		all.Go(func() {
			for first.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	all.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}
