package signin

import (
	"context"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
)

// An attempt is counted before its hash and given back when it was right. Without
// more, many right attempts at once would use up the free ones and be refused.
// So at most as many as are free are in flight under one counter; the others
// stand in line until those are decided. Guessers gain nothing: what the first
// ones find is counted when the next are let in.
type inflight struct {
	mu    sync.Mutex
	lines map[string]*line
}

// line is the attempts under one counter.
type line struct {
	slots chan struct{}
	users int // in flight or waiting
}

const (
	maxInLine = 128             // under one counter; more are refused at once
	maxWait   = 2 * time.Second // in line
)

func newInflight() *inflight { return &inflight{lines: map[string]*line{}} }

// enter waits for a place under every rule. leave gives all of them back.
func (f *inflight) enter(ctx context.Context, rules []limit.Rule) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	var held []string
	leave = func() {
		for _, key := range held {
			f.exit(key, true)
		}
	}
	for _, r := range rules { // always in the same order: nobody waits in a circle
		if err := f.wait(ctx, r); err != nil {
			leave()
			return nil, err
		}
		held = append(held, r.Key)
	}
	return leave, nil
}

func (f *inflight) wait(ctx context.Context, r limit.Rule) error {
	l, ok := f.join(r)
	if !ok {
		return fault.New(fault.TooMany, "Too many attempts at once. Try again in a moment.").Retry(time.Second)
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		f.exit(r.Key, false)
		return fault.New(fault.Busy, "Many people are signing in right now. Try again in a moment.").Retry(time.Second)
	}
}

func (f *inflight) join(r limit.Rule) (*line, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lines[r.Key]
	if l == nil {
		l = &line{slots: make(chan struct{}, max(r.Free, 1))}
		f.lines[r.Key] = l
	}
	if l.users >= cap(l.slots)+maxInLine {
		return nil, false
	}
	l.users++
	return l, true
}

// exit leaves a line, and forgets it when it is empty.
func (f *inflight) exit(key string, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lines[key]
	if held {
		<-l.slots
	}
	l.users--
	if l.users == 0 {
		delete(f.lines, key)
	}
}
