package outbox_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// topic tells every client of an entry, and answers as it is told to.
type topic struct {
	clock *clock
	mu    sync.Mutex
	sent  []string // receiver and the entry's key, in the order of attempts
	ids   map[string]int
	says  func(ctx context.Context, m outbox.Message) outbox.Outcome // nil: delivered
	shut  map[string]bool
}

func newTopic(c *clock) *topic {
	return &topic{clock: c, ids: map[string]int{}, shut: map[string]bool{}}
}

func (p *topic) Name() string { return "test" }

func (p *topic) Plan(_ context.Context, r revoke.Recorded) (all []outbox.Message, err error) {
	for _, c := range r.Clients {
		all = append(all, outbox.NewMessage("test", c, []byte(r.Key), p.clock.now()))
	}
	return all, nil
}

func (p *topic) Open(_ context.Context, to string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.shut[to], nil
}

func (p *topic) Deliver(ctx context.Context, m outbox.Message) outbox.Outcome {
	p.mu.Lock()
	p.sent = append(p.sent, m.To+" "+string(m.Body))
	p.ids[m.ID]++
	says := p.says
	p.mu.Unlock()
	if says == nil {
		return outbox.Outcome{Result: outbox.Delivered}
	}
	return says(ctx, m)
}

func (p *topic) answer(result outbox.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = func(context.Context, outbox.Message) outbox.Outcome {
		return outbox.Outcome{Result: result, Problem: "no"}
	}
}

// took returns what was sent since the last call.
func (p *topic) took() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.sent
	p.sent = nil
	return all
}

func newOutbox(t *testing.T, s store.Store, p *topic) *outbox.Outbox {
	t.Helper()
	o, err := outbox.New(outbox.Config{
		Queue: s, Log: s, Topics: []outbox.Topic{p}, Now: p.clock.now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	check(t, err)
	return o
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func tick(t *testing.T, o *outbox.Outbox) {
	t.Helper()
	check(t, o.Tick(t.Context()))
}

// take records an entry that these clients are to be told of.
func take(t *testing.T, s store.Store, key string, clients ...string) {
	t.Helper()
	_, err := s.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{{
		Kind: revoke.Key, Key: key, KeepUntil: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Clients: clients,
	}}})
	check(t, err)
}

func states(t *testing.T, s store.Store) (all []string) {
	t.Helper()
	messages, err := s.Messages(t.Context(), outbox.Which{Limit: 1000})
	check(t, err)
	for _, m := range messages {
		all = append(all, fmt.Sprintf("%s %s %d", m.To, m.State, m.Attempts))
	}
	return all
}

func TestEntriesAreToldOnceAndOnlyFromTheFirstFeedOn(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	take(t, s, "before", "web")
	tick(t, o)
	want(t, "before the first feed", p.took(), nil)
	take(t, s, "a", "web")
	take(t, s, "b", "web")
	take(t, s, "nobody")
	tick(t, o)
	want(t, "sent", p.took(), []string{"web a", "web b"})
	tick(t, o)
	want(t, "sent again", p.took(), nil)
	want(t, "left", states(t, s), nil)
}

func TestManyNodesTellEveryEntryOnce(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	var nodes []*outbox.Outbox
	for range 8 {
		nodes = append(nodes, newOutbox(t, s, p))
	}
	tick(t, nodes[0])
	for i := range 300 {
		take(t, s, fmt.Sprint(i), fmt.Sprint("c", i%7))
	}
	var all sync.WaitGroup
	for _, o := range nodes {
		all.Go(func() {
			for range 20 {
				if err := o.Tick(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	sent := p.took()
	if len(sent) != 300 {
		t.Errorf("sent %d messages, want 300", len(sent))
	}
	slices.Sort(sent)
	if len(slices.Compact(sent)) != 300 {
		t.Error("some were sent twice, others never")
	}
	want(t, "left", states(t, s), nil)
}

func TestFailedMessagesAreTriedLaterAndLater(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	take(t, s, "a", "web")
	p.answer(outbox.Failed)
	tick(t, o)
	want(t, "first attempt", p.took(), []string{"web a"})
	for i, wait := range []time.Duration{1, 2, 4, 8, 16} { // seconds at most, half of it at least
		p.clock.forward(wait*time.Second/2 - time.Millisecond)
		tick(t, o)
		want(t, fmt.Sprint("too early, attempt ", i+2), p.took(), nil)
		p.clock.forward(wait*time.Second/2 + time.Millisecond)
		tick(t, o)
		want(t, fmt.Sprint("attempt ", i+2), p.took(), []string{"web a"})
	}
	want(t, "waiting", states(t, s), []string{"web waiting 6"})
	p.answer(outbox.Delivered)
	p.clock.forward(15 * time.Minute)
	tick(t, o)
	want(t, "last attempt", p.took(), []string{"web a"})
	want(t, "left", states(t, s), nil)
}

func TestRefusedMessagesAreSentThreeTimes(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	take(t, s, "a", "web")
	p.answer(outbox.Refused)
	for range 10 {
		tick(t, o)
		p.clock.forward(time.Hour)
	}
	want(t, "attempts", p.took(), []string{"web a", "web a", "web a"})
	want(t, "listed", states(t, s), []string{"web given up 3"})
	check(t, o.Purge(t.Context()))
	want(t, "listed still", states(t, s), []string{"web given up 3"})
	p.clock.forward(outbox.Lifetime)
	check(t, o.Purge(t.Context()))
	want(t, "forgotten", states(t, s), nil)
}

func TestFailedMessagesAreGivenUpAfterADayAndListedForAnother(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	take(t, s, "a", "web")
	take(t, s, "b", "shut")
	p.shut["shut"] = true
	p.answer(outbox.Failed)
	for range 24 * 4 * 3 {
		tick(t, o)
		check(t, o.Purge(t.Context()))
		p.clock.forward(5 * time.Minute)
	}
	attempts := len(p.took())
	if attempts < 90 || attempts > 230 {
		t.Errorf("%d attempts in a day", attempts)
	}
	p.clock.forward(time.Minute)
	check(t, o.Purge(t.Context()))
	messages, err := s.Messages(t.Context(), outbox.Which{State: outbox.GivenUp, Limit: 10})
	check(t, err)
	if len(messages) != 2 || messages[0].Problem != "no" {
		t.Fatalf("given up: %+v", messages)
	}
	p.answer(outbox.Delivered)
	p.shut["shut"] = false
	p.clock.forward(time.Hour)
	tick(t, o)
	want(t, "sent after it was given up", p.took(), nil)
	p.clock.forward(outbox.Lifetime)
	check(t, o.Purge(t.Context()))
	want(t, "forgotten", states(t, s), nil)
}

func TestMessagesToAClosedReceiverWaitUntilItOpens(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	p.shut["web"] = true
	take(t, s, "a", "web", "app")
	tick(t, o)
	want(t, "sent", p.took(), []string{"app a"})
	want(t, "waiting", states(t, s), []string{"web waiting 0"})
	p.shut["web"] = false
	tick(t, o)
	want(t, "sent then", p.took(), []string{"web a"})
}

func TestOneFailureSparesTheReceiverTheRest(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	for i := range 15 {
		take(t, s, fmt.Sprint(i), "web")
	}
	p.answer(outbox.Failed)
	tick(t, o)
	want(t, "attempts", p.took(), []string{"web 0"})
	p.answer(outbox.Delivered)
	p.clock.forward(time.Second)
	tick(t, o)
	if got := p.took(); len(got) != 15 {
		t.Errorf("sent %q, want all 15", got)
	}
}

func TestReceiverThatAsksForTimeGetsIt(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	take(t, s, "a", "web")
	p.says = func(context.Context, outbox.Message) outbox.Outcome {
		return outbox.Outcome{Result: outbox.Failed, After: 10 * time.Minute}
	}
	tick(t, o)
	p.took()
	p.clock.forward(10*time.Minute - time.Second)
	tick(t, o)
	want(t, "too early", p.took(), nil)
	p.clock.forward(time.Second)
	tick(t, o)
	want(t, "in time", p.took(), []string{"web a"})
}

func TestReceiverThatHangsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	told, release := make(chan string, 10), make(chan struct{})
	p.says = func(ctx context.Context, m outbox.Message) outbox.Outcome {
		if m.To == "hangs" {
			select {
			case <-release:
			case <-ctx.Done():
				return outbox.Outcome{Result: outbox.Failed, Problem: "gone"}
			}
		}
		told <- m.To
		return outbox.Outcome{Result: outbox.Delivered}
	}
	o, err := outbox.New(outbox.Config{
		Queue: s, Log: s, Topics: []outbox.Topic{p}, Now: p.clock.now, Logger: slog.New(slog.DiscardHandler), Await: s.AwaitRevocations,
	})
	check(t, err)
	check(t, o.Feed(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		o.Run(ctx)
	}()
	take(t, s, "a", "hangs")
	for i := range 5 {
		take(t, s, fmt.Sprint(i), "web")
		if to := <-told; to != "web" {
			t.Fatalf("%s was told first", to)
		}
	}
	close(release)
	if to := <-told; to != "hangs" {
		t.Fatalf("%s was told last", to)
	}
	take(t, s, "b", "cut")
	<-told
	stop()
	<-over
	want(t, "left", states(t, s), nil)
}

// A node that stops in the middle of an attempt leaves the message as it was.
func TestStopInTheMiddleOfAnAttemptCostsNothing(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	o := newOutbox(t, s, p)
	tick(t, o)
	take(t, s, "a", "web")
	take(t, s, "b", "web")
	ctx, stop := context.WithCancel(t.Context())
	p.says = func(ctx context.Context, _ outbox.Message) outbox.Outcome {
		stop()
		<-ctx.Done()
		return outbox.Outcome{Result: outbox.Failed, Problem: "cut off"}
	}
	check(t, o.Tick(ctx))
	want(t, "waiting", states(t, s), []string{"web waiting 0", "web waiting 0"})
	p.took()
	p.answer(outbox.Delivered)
	tick(t, newOutbox(t, s, p))
	want(t, "sent by another", p.took(), []string{"web a", "web b"})
}

// crash opens what a store has left on disk, as if its process had just died.
func crash(t *testing.T, path string) (store.Store, string) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "after.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		check(t, err)
		check(t, os.WriteFile(to+suffix, data, 0o600))
	}
	return open(t, to), to
}

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func TestDeathOfTheNodeLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "wafer.db")
	s, p := open(t, path), newTopic(newClock())
	tick(t, newOutbox(t, s, p))

	take(t, s, "a", "web")
	s, path = crash(t, path) // before the log was read
	o := newOutbox(t, s, p)
	check(t, o.Feed(t.Context()))
	want(t, "fed", states(t, s), []string{"web waiting 0"})
	s, path = crash(t, path) // before it was sent
	tick(t, newOutbox(t, s, p))
	want(t, "sent", p.took(), []string{"web a"})

	take(t, s, "b", "web")
	died := make(chan store.Store, 1)
	p.says = func(context.Context, outbox.Message) outbox.Outcome {
		after, _ := crash(t, path) // it was sent, and nobody wrote that down
		died <- after
		return outbox.Outcome{Result: outbox.Delivered}
	}
	tick(t, newOutbox(t, s, p))
	want(t, "sent", p.took(), []string{"web b"})
	s, p.says = <-died, nil
	o = newOutbox(t, s, p)
	tick(t, o)
	want(t, "while the dead node holds it", p.took(), nil)
	p.clock.forward(time.Minute)
	tick(t, o)
	want(t, "sent again", p.took(), []string{"web b"})
	want(t, "left", states(t, s), nil)
	twice := 0
	for _, n := range p.ids {
		if n == 2 {
			twice++
		}
	}
	if len(p.ids) != 2 || twice != 1 {
		t.Errorf("attempts by id: %v, want one id with two", p.ids)
	}
}

func TestOutboxWithoutAllItNeedsIsRefused(t *testing.T) {
	t.Parallel()
	s, p := memory.New(), newTopic(newClock())
	good := outbox.Config{Queue: s, Log: s, Topics: []outbox.Topic{p}, Now: p.clock.now, Logger: slog.New(slog.DiscardHandler)}
	if _, err := outbox.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*outbox.Config){
		"no queue": func(c *outbox.Config) { c.Queue = nil }, "no log": func(c *outbox.Config) { c.Log = nil },
		"no topic": func(c *outbox.Config) { c.Topics = nil }, "no clock": func(c *outbox.Config) { c.Now = nil },
		"no logger": func(c *outbox.Config) { c.Logger = nil }, "two of a name": func(c *outbox.Config) { c.Topics = append(c.Topics, p) },
	} {
		c := good
		c.Topics = slices.Clone(c.Topics)
		spoil(&c)
		if _, err := outbox.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
