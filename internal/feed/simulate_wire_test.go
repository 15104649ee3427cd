package feed_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// wire is a hub as somebody far away sees it: what is sent is late, lost, doubled and
// out of order, answers come twice, and for a while nothing comes through at all.
type wire struct {
	parted
	w     *world
	as    feed.Credentials
	clock *simClock // of the machine at this end; nil: it is never suspended
	mild  bool      // between servers: less is lost

	once sync.Once
	rnd  *rand.Rand
	d    *dice

	at   sync.Mutex
	door *doorway
	dead bool
	last string // the answer before
}

func (l *wire) luck() *dice {
	l.once.Do(func() { l.d = &dice{rnd: l.rnd} })
	return l.d
}

func (l *wire) move(to *doorway) {
	l.at.Lock()
	defer l.at.Unlock()
	l.door = to
}

func (l *wire) die() {
	l.at.Lock()
	defer l.at.Unlock()
	l.dead = true
}

func (l *wire) gone() bool {
	l.at.Lock()
	defer l.at.Unlock()
	return l.dead
}

// trip is one way.
func (l *wire) trip(ctx context.Context) error {
	d := l.luck()
	late := 300*time.Microsecond + d.within(25*time.Millisecond)
	part := 1.0
	if l.mild {
		part = 0.2
	}
	healed := l.w.healed.Load()
	if !healed && d.chance(0.03*part) {
		late = d.within(3 * time.Second)
	}
	if err := rest(ctx, late); err != nil {
		return err
	}
	if l.gone() || l.isParted() || !healed && d.chance(0.08*part) {
		if err := rest(ctx, d.within(400*time.Millisecond)); err != nil {
			return err
		}
		return errSimulated
	}
	return l.awake(ctx)
}

func (l *wire) awake(ctx context.Context) error {
	if l.clock == nil {
		return nil
	}
	return l.clock.awake(ctx)
}

func (l *wire) hub(ctx context.Context) (revocation.Hub, error) {
	if err := l.trip(ctx); err != nil {
		return nil, err
	}
	l.at.Lock()
	door := l.door
	l.at.Unlock()
	return door.enter(l.as)
}

func (l *wire) Keys(context.Context) (jose.KeySet, error) {
	return jose.KeySet{l.w.signer().Public()}, nil
}

func (l *wire) Register(ctx context.Context, r revocation.Registration) (revocation.Registered, error) {
	h, err := l.hub(ctx)
	if err != nil {
		return revocation.Registered{}, err
	}
	in, err := h.Register(ctx, r)
	if err != nil {
		return in, err
	}
	return in, l.trip(ctx)
}

// Renew may bring an answer that somebody kept.
func (l *wire) Renew(ctx context.Context, ticket string, ask revocation.Ask) (string, error) {
	h, err := l.hub(ctx)
	if err == nil {
		var answer string
		if answer, err = h.Renew(ctx, ticket, ask); err == nil {
			err = l.trip(ctx)
		}
		l.at.Lock()
		last := l.last
		if answer != "" {
			l.last = answer
		}
		l.at.Unlock()
		if err == nil && (last == "" || !l.luck().chance(0.02)) {
			return answer, nil
		}
	}
	l.at.Lock()
	last := l.last
	l.at.Unlock()
	if last != "" && !l.gone() && ctx.Err() == nil && l.luck().chance(0.3) && l.awake(ctx) == nil {
		return last, nil
	}
	if err == nil {
		err = errSimulated
	}
	return "", err
}

func (l *wire) Snapshot(ctx context.Context, ticket string, least revocation.Position) ([]byte, error) {
	h, err := l.hub(ctx)
	if err != nil {
		return nil, err
	}
	b, err := h.Snapshot(ctx, ticket, least)
	if err != nil {
		return nil, err
	}
	return b, l.trip(ctx)
}

func (l *wire) Leave(ctx context.Context, ticket string) error {
	h, err := l.hub(ctx)
	if err != nil {
		return err
	}
	return h.Leave(ctx, ticket)
}

// Follow lets each frame find its own way.
func (l *wire) Follow(ctx context.Context, ticket string, after revocation.Position, deliver func(string, bool) error) error {
	h, err := l.hub(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var under sync.WaitGroup
	defer under.Wait()
	var order sync.Mutex
	under.Go(func() { // a stream breaks when its other end is out of reach for long
		for ctx.Err() == nil {
			if rest(ctx, 500*time.Millisecond) == nil && l.gone() {
				cancel()
			}
		}
	})
	err = h.Follow(ctx, ticket, after, func(frame string, eager bool) error {
		copies := 1
		if !l.w.healed.Load() && l.luck().chance(0.08) {
			copies = 2
		}
		for range copies {
			under.Go(func() {
				if l.trip(ctx) != nil {
					return
				}
				order.Lock()
				defer order.Unlock()
				if deliver(frame, eager) != nil {
					cancel()
				}
			})
		}
		return nil
	})
	cancel()
	return err
}
