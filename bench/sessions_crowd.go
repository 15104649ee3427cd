package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/session"
)

// few is how many sessions a small house has.
const few = 1000

// asked is how many sessions of a crowd requests are of.
const asked = 50_000

// ending is people who have so many sessions each, to be ended at once.
type ending struct {
	each  int
	users []string
}

// crowd is what a large house is filled with.
type crowd struct {
	members []member
	endings []ending
	waves   []time.Duration // after which so many die unused
	wave    int
}

// newCrowd plans n sessions: people with one, with a hundred and with ten thousand
// who are to be signed out, three waves of a hundred thousand that die, and the rest.
func newCrowd(n int) crowd {
	c := crowd{wave: min(100_000, n/10), waves: []time.Duration{2 * time.Hour, 4 * time.Hour, 6 * time.Hour}}
	idle := session.DefaultLimits().Idle
	for _, e := range []struct{ each, users int }{{1, 9}, {100, 5}, {min(10_000, n/20), 3}} {
		one := ending{each: e.each}
		for range e.users {
			user := userName(1_000_000_000 + len(c.members))
			one.users = append(one.users, user)
			for range e.each {
				c.members = append(c.members, member{user: user, idle: idle})
			}
		}
		c.endings = append(c.endings, one)
	}
	for _, after := range c.waves {
		for i := range c.wave {
			c.members = append(c.members, member{user: userName(len(c.members) - i%3), idle: after})
		}
	}
	for i := 0; len(c.members) < n; i++ {
		c.members = append(c.members, member{user: userName(i / 3), idle: idle, told: i < asked})
	}
	return c
}

// crowdRows measures what must not depend on how many sessions there are.
func crowdRows(ctx context.Context, r *rig, name string, report func(figure)) error {
	n, err := sessionsMost()
	if err != nil {
		return err
	}
	small, err := r.open(ctx)
	if err != nil {
		return err
	}
	if err := small.fill(ctx, plainCrowd(few)); err != nil {
		return err
	}
	h, err := r.open(ctx)
	if err != nil {
		return err
	}
	c := newCrowd(n)
	if err := h.fill(ctx, c.members); err != nil {
		return err
	}
	if err := flatRows(ctx, name, small, h, n, report); err != nil {
		return err
	}
	still, err := h.watch(ctx, func() error { time.Sleep(3 * time.Second); return nil })
	if err != nil {
		return err
	}
	report(figure{name + " at rest, longest wait of a reader", still.reader.Seconds() * 1000, "ms", "", still.reads})
	report(figure{name + " at rest, longest wait of a writer", still.writer.Seconds() * 1000, "ms", "", still.writes})
	for _, e := range c.endings {
		if err := h.endRows(ctx, name, e, report); err != nil {
			return err
		}
	}
	return h.purgeRows(ctx, name, c, report)
}

// flatRows compares a request among many sessions with one among few.
func flatRows(ctx context.Context, name string, small, big *house, n int, report func(figure)) error {
	ns, err := race([]contender{{"few", small.load(ctx)}, {"many", big.load(ctx)}})
	if err != nil {
		return err
	}
	report(figure{fmt.Sprintf("%s load, %d sessions", name, few), ns["few"] / 1000, "us CPU", "", rounds})
	report(figure{fmt.Sprintf("%s load, %d sessions", name, n), ns["many"] / 1000, "us CPU", "", rounds})
	report(figure{name + " load, many sessions", ns["many"] / ns["few"], "x few", "few sessions", rounds})
	if !small.kind.waits {
		return nil
	}
	var one, other spans
	for round := range wallRounds + 1 {
		a, err1 := wallPerCall(small.load(ctx), nil)
		b, err2 := wallPerCall(big.load(ctx), nil)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if round > 0 {
			one, other = append(one, a), append(other, b)
		}
	}
	report(figure{fmt.Sprintf("%s load, %d sessions, %d callers", name, few, callers), one.wall() / 1000, "us", "", wallRounds})
	report(figure{fmt.Sprintf("%s load, %d sessions, %d callers", name, n, callers), other.wall() / 1000, "us", "", wallRounds})
	report(figure{fmt.Sprintf("%s load, many sessions, %d callers", name, callers), other.wall() / one.wall(), "x few", "few sessions", wallRounds})
	return nil
}

// waits are the longest that somebody waited while something went on.
type waits struct {
	reader, writer time.Duration
	reads, writes  int
}

func (w *waits) add(o waits) {
	w.reader, w.writer = max(w.reader, o.reader), max(w.writer, o.writer)
	w.reads, w.writes = w.reads+o.reads, w.writes+o.writes
}

// watch does something while one reads and one writes, again and again, with a
// short rest between.
func (h *house) watch(ctx context.Context, do func() error) (waits, error) {
	var w waits
	var errs [3]error
	stop := make(chan struct{})
	var all sync.WaitGroup
	probe := func(longest *time.Duration, count *int, failed *error, ask func(i int) error) {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			begin := time.Now()
			if *failed = ask(i); *failed != nil {
				return
			}
			*longest = max(*longest, time.Since(begin))
			*count++
			time.Sleep(200 * time.Microsecond)
		}
	}
	all.Go(func() {
		probe(&w.reader, &w.reads, &errs[0], func(i int) error { return h.find(ctx, h.secrets[i*7919%len(h.secrets)]) })
	})
	all.Go(func() {
		probe(&w.writer, &w.writes, &errs[1], func(i int) error {
			now := h.base.Add(time.Duration(i) * time.Millisecond)
			_, err := h.store.TouchSessions(ctx, []session.Touch{{
				ID: h.ids[i*6007%len(h.ids)], Seen: now, IdleUntil: now.Add(session.DefaultLimits().Idle),
			}})
			return err
		})
	})
	time.Sleep(50 * time.Millisecond)
	errs[2] = do()
	time.Sleep(50 * time.Millisecond)
	close(stop)
	all.Wait()
	return w, errors.Join(errs[:]...)
}

// endRows ends all sessions of people who have so many.
func (h *house) endRows(ctx context.Context, name string, e ending, report func(figure)) error {
	var force, gone []float64
	var total waits
	for _, user := range e.users {
		secret, err := h.another(ctx, user)
		if err != nil {
			return err
		}
		w, err := h.watch(ctx, func() error {
			begin := time.Now()
			if _, err := h.keeper.EndAll(ctx, user, "bench", "ban"); err != nil {
				return err
			}
			force = append(force, time.Since(begin).Seconds()*1000)
			if err := h.ended(ctx, []string{secret}); err != nil {
				return err
			}
			begin = time.Now()
			err := h.store.Sweep(ctx)
			gone = append(gone, force[len(force)-1]+time.Since(begin).Seconds()*1000)
			return err
		})
		if err != nil {
			return err
		}
		total.add(w)
		if left, err := h.home.Of(ctx, userRef(user)); err != nil || len(left) > 0 {
			return fmt.Errorf("%d sessions are left of %s, %w", len(left), user, err)
		}
	}
	row := fmt.Sprintf("%s end all %d of a user", name, e.each)
	report(figure{row + ", in force after", median(force), "ms", "", len(force)})
	report(figure{row + ", rows gone after", median(gone), "ms", "", len(gone)})
	report(figure{row + ", longest wait of a reader", total.reader.Seconds() * 1000, "ms", "", total.reads})
	report(figure{row + ", longest wait of a writer", total.writer.Seconds() * 1000, "ms", "", total.writes})
	return nil
}

// another gives one of a user's sessions a secret that is known here, and returns it.
func (h *house) another(ctx context.Context, user string) (string, error) {
	all, err := h.store.SessionsOf(ctx, user)
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("sessions of %s: %d, %w", user, len(all), err)
	}
	_, secret, err := h.keeper.Renew(ctx, all[0], all[0].AMR)
	if err == nil {
		err = h.find(ctx, secret)
	}
	return secret, err
}

// purgeRows removes the waves, each when it is dead.
func (h *house) purgeRows(ctx context.Context, name string, c crowd, report func(figure)) error {
	var took []float64
	var total waits
	for _, after := range c.waves {
		w, err := h.watch(ctx, func() error {
			begin := time.Now()
			n, err := h.keeper.Purge(ctx, h.base.Add(after))
			took = append(took, time.Since(begin).Seconds()*1000)
			if err == nil && n != c.wave {
				err = fmt.Errorf("%d sessions were purged, not %d", n, c.wave)
			}
			return err
		})
		if err != nil {
			return err
		}
		total.add(w)
	}
	row := fmt.Sprintf("%s purge of %d", name, c.wave)
	report(figure{row, median(took), "ms", "", len(took)})
	report(figure{row + ", longest wait of a reader", total.reader.Seconds() * 1000, "ms", "", total.reads})
	report(figure{row + ", longest wait of a writer", total.writer.Seconds() * 1000, "ms", "", total.writes})
	return nil
}
