package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// What a message has, and how many.
const (
	// Lifetime is how long a message is tried, and then listed as given up.
	Lifetime = 24 * time.Hour
	// refusals is how often a message is sent to a receiver that refuses it.
	refusals = 3

	entriesAtOnce   = 200
	receiversAtOnce = 1000
	messagesAtOnce  = 20
)

// The bounds of a claim. Whoever delivers stops in time: what is left of a claim
// is always enough for one more attempt.
const (
	claimFor   = time.Minute
	attemptFor = 15 * time.Second
)

// Config is what an Outbox is made of. Node and Await may be left out.
type Config struct {
	Queue  Queue
	Log    Log
	Topics []Topic
	Now    func() time.Time
	Logger *slog.Logger
	// Node names this process in claims. Default: a random text.
	Node string
	// Await returns when the log may have gone beyond a position; it may return
	// early, and it may miss a change. Nil: the log is looked at every second.
	Await func(ctx context.Context, after int64) error
	// Workers is how many receivers are served at once. Default 16.
	Workers int
}

// Outbox feeds and empties the queue. It is safe for concurrent use.
type Outbox struct {
	c       Config
	slots   chan struct{}
	changed chan struct{} // somebody has finished
	reached atomic.Int64  // every topic has read the log up to here

	mu   sync.Mutex
	busy map[[2]string]bool // topic and receiver that this node is sending to
}

// New returns an outbox that does nothing until Run or Tick.
func New(c Config) (*Outbox, error) {
	if c.Queue == nil || c.Log == nil || c.Now == nil || c.Logger == nil || len(c.Topics) == 0 {
		return nil, errors.New("an outbox needs a queue, the log, topics, a clock and a logger")
	}
	names := map[string]bool{}
	for _, t := range c.Topics {
		if t.Name() == "" || names[t.Name()] {
			return nil, fmt.Errorf("topic %q has no name or not its own", t.Name())
		}
		names[t.Name()] = true
	}
	if c.Node == "" {
		c.Node = opaque.Text(9)
	}
	if c.Workers <= 0 {
		c.Workers = 16
	}
	return &Outbox{
		c: c, slots: make(chan struct{}, c.Workers), changed: make(chan struct{}, 1), busy: map[[2]string]bool{},
	}, nil
}

// Run feeds and delivers until ctx ends and the attempts under way have. A failure
// is logged, and tried again.
func (o *Outbox) Run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for ctx.Err() == nil {
		if err := o.Feed(ctx); err != nil && ctx.Err() == nil {
			o.c.Logger.Error("feed outbox", "error", err)
		}
		if err := o.start(ctx, &under); err != nil && ctx.Err() == nil {
			o.c.Logger.Error("deliver outbox", "error", err)
		}
		o.rest(ctx)
	}
}

// Tick feeds, and delivers what is due once. It returns when all attempts are over.
func (o *Outbox) Tick(ctx context.Context) error {
	var under sync.WaitGroup
	err := o.Feed(ctx)
	err = errors.Join(err, o.start(ctx, &under))
	under.Wait()
	return err
}

// Purge gives up and removes what is too old. Call it every minute or so.
func (o *Outbox) Purge(ctx context.Context) error {
	now := o.c.Now()
	n, err := o.c.Queue.PurgeMessages(ctx, Purge{Now: now, GiveUp: now.Add(-Lifetime), Forget: now.Add(-Lifetime)})
	if err != nil {
		return fmt.Errorf("purge outbox: %w", err)
	}
	if n > 0 {
		o.c.Logger.Info("messages that are too old were given up or forgotten", "messages", n)
	}
	return nil
}

// rest waits until there may be something to do: a second at most, since messages
// become due and other nodes write.
func (o *Outbox) rest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	rung := make(chan struct{})
	go func() {
		defer close(rung)
		o.listen(ctx)
	}()
	select {
	case <-o.changed:
	case <-rung:
	}
	cancel()
	<-rung
}

// listen returns when the log has gone on, or ctx ends.
func (o *Outbox) listen(ctx context.Context) {
	if o.c.Await == nil {
		<-ctx.Done()
		return
	}
	if err := o.c.Await(ctx, o.reached.Load()); err != nil {
		<-ctx.Done() // an Await that fails at once must not make us spin
	}
}
