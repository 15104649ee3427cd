package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Sessions are measured where a request meets them: session.Keeper over the store
// that the server opens, against alexedwards/scs over the same kind of store, with
// the same settings of the same driver or server. Neither has HTTP around it.
//
//	sessions KIND request   one request, 50,000 sessions on either side
//	sessions KIND crowd     a request, ends and purges among BENCH_SESSIONS sessions

// callers is how many ask at once where the work is another process's.
const callers = 16

// requested is how many sessions a request is one of.
const requested = 50_000

// flushEvery is how many requests share a flush where CPU time is counted.
const flushEvery = 1000

func sessionSuites() []suite {
	var all []suite
	for _, k := range sessionKinds() {
		name := "sessions " + k.name
		all = append(all,
			suite{name + " request", func(report func(figure)) error { return withRig(k, name, report, requestRows) }},
			suite{name + " crowd", func(report func(figure)) error { return withRig(k, name, report, crowdRows) }})
	}
	return all
}

// sessionsMost is how many sessions a crowd is.
func sessionsMost() (int, error) {
	text := os.Getenv("BENCH_SESSIONS")
	if text == "" {
		return 1_000_000, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 10_000 {
		return 0, fmt.Errorf("BENCH_SESSIONS=%q: want a number from 10000", text)
	}
	return n, nil
}

// errNotInstalled says which program is missing.
var errNotInstalled = errors.New("not installed")

// withRig measures one kind of store, or says why it did not.
func withRig(k sessionKind, name string, report func(figure), measure func(context.Context, *rig, string, func(figure)) error) (err error) {
	// Who is interrupted takes the servers along that he has started.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	r, err := newRig(k)
	if errors.Is(err, errNotInstalled) {
		fmt.Fprintf(os.Stderr, "%s: NOT MEASURED: %v\n", name, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return measure(ctx, r, name, report)
}

// requestRows compares one request with one of scs.
func requestRows(ctx context.Context, r *rig, name string, report func(figure)) error {
	h, err := r.open(ctx)
	if err != nil {
		return err
	}
	if err := h.fill(ctx, plainCrowd(requested)); err != nil {
		return err
	}
	p, err := r.peer(ctx)
	if err != nil {
		return err
	}
	if err := p.fill(ctx, requested); err != nil {
		return err
	}
	if err := compareCPU(name+" load", 1, p, contender{"wafer", h.load(ctx)}, p.load(ctx), report); err != nil {
		return err
	}
	if r.kind.waits {
		if err := compareWall(name+" load", p, h.load(ctx), p.load(ctx), nil, report); err != nil {
			return err
		}
	}
	touch := h.use(ctx)
	block := contender{"wafer", func() error {
		for range flushEvery {
			if err := touch(); err != nil {
				return err
			}
		}
		return h.keeper.Flush(ctx)
	}}
	if err := compareCPU(name+" load+touch", flushEvery, p, block, p.use(ctx), report); err != nil {
		return err
	}
	if err := h.proveTouches(ctx); err != nil {
		return err
	}
	if !r.kind.waits {
		return nil
	}
	return compareWall(name+" load+touch", p, touch, p.use(ctx), func() error { return h.keeper.Flush(ctx) }, report)
}

// compareCPU races ours, of which one call is so many requests, with one request
// of the peer, and reports how many times as fast ours is.
func compareCPU(row string, requests float64, p *peer, ours contender, theirs func() error, report func(figure)) error {
	ns, err := race([]contender{ours, {p.name, theirs}})
	if err != nil {
		return err
	}
	mine := ns["wafer"] / requests
	report(figure{row + ", wafer", mine / 1000, "us CPU", "", rounds})
	report(figure{row + ", " + p.name, ns[p.name] / 1000, "us CPU", "", rounds})
	report(figure{row + ", speed", ns[p.name] / mine, "x scs", p.name, rounds})
	return nil
}

// wallRounds is how often each of those that wait for another process is measured.
const wallRounds = 5

// compareWall lets many callers at once ask ours and the peer, in turn, and reports
// the time that passes for each request, and the CPU time of this process.
func compareWall(row string, p *peer, ours, theirs func() error, flush func() error, report func(figure)) error {
	var mine, his spans
	for round := range wallRounds + 1 {
		a, err := wallPerCall(ours, flush)
		if err != nil {
			return fmt.Errorf("wafer: %w", err)
		}
		b, err := wallPerCall(theirs, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if round > 0 {
			mine, his = append(mine, a), append(his, b)
		}
	}
	row = fmt.Sprintf("%s, %d callers", row, callers)
	report(figure{row + ", wafer", mine.wall() / 1000, "us", "", wallRounds})
	report(figure{row + ", " + p.name, his.wall() / 1000, "us", "", wallRounds})
	report(figure{row + ", throughput", his.wall() / mine.wall(), "x scs", p.name, wallRounds})
	report(figure{row + ", wafer", mine.cpu() / 1000, "us CPU", "", wallRounds})
	report(figure{row + ", " + p.name, his.cpu() / 1000, "us CPU", "", wallRounds})
	report(figure{row + ", speed", his.cpu() / mine.cpu(), "x scs", p.name, wallRounds})
	return nil
}

// span is the nanoseconds of one request: those that passed, and those this process
// worked.
type span struct{ wall, cpu float64 }

type spans []span

func (all spans) wall() float64 { return all.median(func(s span) float64 { return s.wall }) }
func (all spans) cpu() float64  { return all.median(func(s span) float64 { return s.cpu }) }

func (all spans) median(of func(span) float64) float64 {
	var v []float64
	for _, s := range all {
		v = append(v, of(s))
	}
	return median(v)
}

// wallPerCall lets callers do one thing again and again and returns what one time
// takes. With a flush, that is done every second, and once more
// before the time is taken.
func wallPerCall(do, flush func() error) (span, error) {
	slice := 800 * time.Millisecond
	if flush != nil {
		slice = 2100 * time.Millisecond
	}
	begin, start := time.Now(), cpu()
	var count atomic.Int64
	var first atomic.Pointer[error]
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for time.Since(begin) < slice && first.Load() == nil {
				if err := do(); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				count.Add(1)
			}
		})
	}
	if flush != nil {
		all.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for time.Since(begin) < slice-time.Second {
				<-tick.C
				if err := flush(); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := first.Load(); err != nil {
		return span{}, *err
	}
	if flush != nil {
		if err := flush(); err != nil {
			return span{}, err
		}
	}
	n := float64(count.Load())
	return span{wall: float64(time.Since(begin)) / n, cpu: float64(cpu()-start) / n}, nil
}
