package split_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/split"
)

const (
	people  = 8  // who act at once, each on sessions of their own
	devices = 25 // sessions of each, at first
)

// A person knows exactly which of their sessions must be found, and which not.
type person struct {
	id      string
	nodes   []*split.Store
	clock   func() time.Time
	rand    *rand.Rand
	live    []session.Session
	ended   []opaque.Digest // secrets that were taken back or renewed away
	n       int
	retries int
}

// again repeats what was refused because a node did not know where sessions are.
func (p *person) again(do func(s *split.Store) error) error {
	for {
		err := do(p.nodes[p.rand.IntN(len(p.nodes))])
		if !fault.Is(err, fault.Unavailable) {
			return err
		}
		p.retries++
	}
}

func (p *person) signIn(ctx context.Context) error {
	return p.again(func(s *split.Store) error {
		p.n++
		one := newSession(fmt.Sprint(p.id, "-", p.n), p.id)
		one.Secret = opaque.Hash("secret of " + one.ID)
		err := s.StartSession(ctx, one, revoke.Effects{})
		if err == nil {
			p.live = append(p.live, one)
		}
		return err
	})
}

func (p *person) look(ctx context.Context, d opaque.Digest, want string) error {
	return p.again(func(s *split.Store) error {
		one, _, _, err := s.SessionBySecret(ctx, d)
		if err == nil && one.ID != want {
			err = fmt.Errorf("found session %q, want %q", one.ID, want)
		}
		return err
	})
}

func (p *person) list(ctx context.Context) error {
	return p.again(func(s *split.Store) error {
		all, err := s.SessionsOf(ctx, p.id)
		if err == nil && len(all) != len(p.live) {
			err = fmt.Errorf("%d sessions listed, want %d", len(all), len(p.live))
		}
		return err
	})
}

func (p *person) renew(ctx context.Context, i int) error {
	p.n++
	old, next := p.live[i].Secret, p.live[i]
	next.Secret = opaque.Hash(fmt.Sprint(p.id, " next ", p.n))
	next.SeenAt = p.clock()
	err := p.again(func(s *split.Store) error {
		ok, err := s.RenewSession(ctx, old, next, revoke.Effects{})
		if err == nil && !ok {
			err = fmt.Errorf("session %s was not renewed", next.ID)
		}
		return err
	})
	p.live[i], p.ended = next, append(p.ended, old)
	return err
}

func (p *person) touch(ctx context.Context, i int) error {
	t := session.Touch{ID: p.live[i].ID, Seen: p.clock(), IdleUntil: at(20 * time.Hour)}
	return p.again(func(s *split.Store) error {
		n, err := s.TouchSessions(ctx, []session.Touch{t})
		if err == nil && n != 1 {
			err = fmt.Errorf("session %s was not touched", t.ID)
		}
		return err
	})
}

func (p *person) end(ctx context.Context, i int) error {
	p.ended = append(p.ended, p.live[i].Secret)
	id := p.live[i].ID
	p.live = append(p.live[:i], p.live[i+1:]...)
	return p.again(func(s *split.Store) error {
		_, err := s.Record(ctx, ends(revoke.Session, id))
		return err
	})
}

func (p *person) act(ctx context.Context) error {
	i := p.rand.IntN(len(p.live))
	switch p.rand.IntN(12) {
	case 0:
		return p.renew(ctx, i)
	case 1, 2:
		return p.touch(ctx, i)
	case 3:
		if err := p.end(ctx, i); err != nil {
			return err
		}
		return p.signIn(ctx)
	case 4:
		return p.list(ctx)
	case 5, 6:
		if len(p.ended) > 0 {
			return p.look(ctx, p.ended[p.rand.IntN(len(p.ended))], "")
		}
	}
	return p.look(ctx, p.live[i].Secret, p.live[i].ID)
}

// Everybody goes on using, renewing, starting and ending sessions at three nodes
// of different diligence while these move: nobody is signed out, and nobody who
// was comes back.
func TestNobodyNoticesAMove(t *testing.T) {
	t.Parallel()
	for _, route := range [][]string{{"mem://a", "mem://b"}, {"", "mem://a", ""}} {
		t.Run(fmt.Sprint(route), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			var nodes []*split.Store
			for range 3 {
				c := h.config(route[0])
				c.Slice = 9
				s, err := split.Open(t.Context(), c)
				must(t, err)
				nodes = append(nodes, s)
			}
			moveUnderLoad(t, h, nodes, route)
		})
	}
}

func moveUnderLoad(t *testing.T, h *house, nodes []*split.Store, route []string) {
	t.Helper()
	ctx := t.Context()
	var all []*person
	for i := range people {
		p := &person{id: fmt.Sprint("p", i), nodes: nodes, clock: h.clock, rand: rand.New(rand.NewPCG(1, uint64(i)))}
		for range devices {
			must(t, p.signIn(ctx))
		}
		all = append(all, p)
	}
	var acts atomic.Int64
	var crowd sync.WaitGroup
	stop := make(chan struct{})
	for _, p := range all {
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := p.act(ctx); err != nil {
					t.Errorf("%s: %v", p.id, err)
					return
				}
				acts.Add(1)
			}
		})
	}
	for _, url := range route[1:] {
		must(t, nodes[0].StartMove(ctx, url))
		housekeep(t, h, nodes, &acts)
	}
	close(stop)
	crowd.Wait()

	total, ended, retries := 0, 0, 0
	for _, p := range all {
		total, ended, retries = total+len(p.live), ended+len(p.ended), retries+p.retries
		for _, one := range p.live {
			must(t, p.look(ctx, one.Secret, one.ID))
		}
		for _, d := range p.ended {
			must(t, p.look(ctx, d, ""))
		}
	}
	for _, s := range nodes {
		must(t, s.Sweep(ctx))
	}
	if n := count(t, source(h, route[len(route)-1])); n != int64(total) {
		t.Errorf("%d records at the end, want %d", n, total)
	}
	if n := count(t, source(h, route[len(route)-2])); n != 0 {
		t.Errorf("%d records were left behind", n)
	}
	t.Logf("%d acts, %d secrets taken back, %d tries again", acts.Load(), ended, retries)
}

// housekeep lets time pass as the crowd acts: the first node looks after itself
// all the time, the second seldom, the third never.
func housekeep(t *testing.T, h *house, nodes []*split.Store, acts *atomic.Int64) {
	t.Helper()
	ctx := t.Context()
	for round := 1; round < 2000 && !t.Failed(); round++ {
		for until := acts.Load() + 12; acts.Load() < until && !t.Failed(); {
			runtime.Gosched()
		}
		h.forward(400 * time.Millisecond)
		for i, s := range nodes[:2] {
			if i == 1 && round%11 > 0 {
				continue
			}
			must(t, s.Refresh(ctx))
			must(t, s.Sweep(ctx))
			_, err := s.PurgeSessions(ctx, h.clock(), 100)
			must(t, err)
			p, err := s.Move(ctx)
			if err != nil {
				t.Fatalf("%+v: %v", p, err)
			}
			if p.Done {
				return
			}
		}
	}
	t.Error("the move does not end")
}
