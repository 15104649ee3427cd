package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wafer-auth/wafer/internal/fault"
)

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("store is closed")

// ErrBroken means that an earlier change met an I/O error. Nothing is written
// until the store is opened again, which recovers what was acknowledged.
var ErrBroken = errors.New("store stopped writing after an I/O error")

// A task is a change on its way through the writer.
type task struct {
	ctx   context.Context
	run   func(*conn) error
	state atomic.Int32 // waiting, then running or left
	done  chan struct{}
	err   error
	panic any // what run panicked with
}

const (
	waiting int32 = iota
	running
	left
)

// writer runs changes, one batch after the other, on the one connection that
// writes.
type writer struct {
	conn     *conn
	settle   func(*conn) (publish func(), err error) // see Store.settle; nil when nobody needs it
	ring     func()                                  // wakes who waits for the log in this process; nil when nobody does
	commit   func(*conn) error
	wake     chan struct{}
	finished chan struct{}
	broken   atomic.Pointer[error]

	mu     sync.Mutex
	queue  []*task
	closed bool
}

func newWriter(c *conn) *writer {
	c.writes = true
	return &writer{conn: c, commit: c.engine.commit, wake: make(chan struct{}, 1), finished: make(chan struct{})}
}

// do queues a change and waits until it is durable, refused or failed. A context
// that is done before its turn comes takes it back.
func (w *writer) do(ctx context.Context, run func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &task{ctx: ctx, run: run, done: make(chan struct{})}
	if err := w.push(t); err != nil {
		return err
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		if t.state.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		<-t.done
	}
	if t.panic != nil {
		panic(t.panic)
	}
	return t.err
}

func (w *writer) push(t *task) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.queue = append(w.queue, t)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// take waits for tasks and returns some, or nil when the writer was closed and
// nothing is left.
func (w *writer) take() []*task {
	for {
		w.mu.Lock()
		n := min(len(w.queue), w.conn.engine.most())
		batch, closed := w.queue[:n:n], w.closed
		w.queue = w.queue[n:]
		w.mu.Unlock()
		if n > 0 {
			return batch
		}
		if closed {
			return nil
		}
		<-w.wake
	}
}

func (w *writer) loop() {
	defer close(w.finished)
	for {
		batch := w.take()
		if batch == nil {
			return
		}
		w.write(batch)
	}
}

// close lets what is queued be written, and nothing more.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	select {
	case w.wake <- struct{}{}:
	default:
	}
	w.mu.Unlock()
	<-w.finished
}

// write runs a batch. Nobody hears anything before it is committed.
func (w *writer) write(batch []*task) {
	tasks := claim(batch)
	if len(tasks) == 0 {
		return
	}
	if err := w.transact(tasks); err != nil {
		err = w.unavailable(err)
		for _, t := range tasks {
			t.err = err
		}
	}
	for _, t := range tasks {
		close(t.done)
	}
}

func claim(batch []*task) []*task {
	tasks := batch[:0]
	for _, t := range batch {
		if !t.state.CompareAndSwap(waiting, running) {
			continue
		}
		if err := t.ctx.Err(); err != nil {
			t.err = err
			close(t.done)
			continue
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// transact commits the tasks that succeed. An error means that none is known to
// be written.
func (w *writer) transact(tasks []*task) (err error) {
	if broken := w.broken.Load(); broken != nil {
		return *broken
	}
	c := w.conn
	bound, cancel := c.engine.bound(context.Background())
	defer cancel()
	c.ctx, c.learnt, c.rings = bound, nil, false
	defer func() {
		if err != nil {
			w.undo()
		}
		c.ctx = context.Background()
	}()
	if err := w.begin(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if len(tasks) == 1 {
		return w.runAlone(tasks[0])
	}
	if err := c.engine.script(c, "SAVEPOINT change"); err != nil {
		return err
	}
	for i, t := range tasks {
		if err := w.runInSavepoint(t, i == len(tasks)-1); err != nil {
			return err
		}
	}
	return w.finish()
}

// begin makes another connection when the last one turns out to be lost: nothing
// was asked of it yet.
func (w *writer) begin() error {
	c := w.conn
	there := c.c != nil
	err := c.connect()
	if err == nil {
		err = c.engine.begin(c)
	}
	if err == nil || !there || !c.dead(err) {
		return err
	}
	c.drop()
	if err := c.connect(); err != nil {
		return err
	}
	return c.engine.begin(c)
}

// undo ends what is left of a transaction that failed.
func (w *writer) undo() {
	c := w.conn
	if w.settle != nil {
		w.settle(nil)
	}
	w.wakeUp() // it may be committed all the same
	if c.c == nil {
		return
	}
	err := c.engine.script(c, "ROLLBACK") // SQLite may have done so itself
	if c.dead(err) || err != nil && !c.engine.alone() {
		c.drop()
	}
}

// finish commits. Before any of the callers hears of its change, so does whoever
// reads from memory.
func (w *writer) finish() error {
	c := w.conn
	publish := func() {}
	if w.settle != nil {
		var err error
		if publish, err = w.settle(c); err != nil {
			return err
		}
	}
	if err := w.commit(c); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	publish()
	for _, known := range c.learnt {
		known()
	}
	w.wakeUp()
	return nil
}

// wakeUp rings for what was written to the log.
func (w *writer) wakeUp() {
	if w.conn.rings && w.ring != nil {
		w.ring()
	}
}

// runAlone runs a task that has the transaction for itself, and commits it.
func (w *writer) runAlone(t *task) error {
	c := w.conn
	t.err = t.try(c)
	if t.err == nil && t.panic == nil {
		return w.finish()
	}
	if c.engine.ofStorage(t.err) || c.dead(t.err) {
		return t.err
	}
	t.err = c.engine.explain(t.err)
	return c.engine.script(c, "ROLLBACK")
}

// runInSavepoint runs one of several tasks, in a savepoint that is there already,
// and makes the next one unless it is the last. An error means that the
// transaction is lost.
func (w *writer) runInSavepoint(t *task, last bool) error {
	c := w.conn
	t.err = t.try(c)
	if t.err != nil || t.panic != nil {
		if c.engine.ofStorage(t.err) || c.dead(t.err) {
			return t.err
		}
		t.err = c.engine.explain(t.err)
		if err := c.engine.script(c, "ROLLBACK TO change"); err != nil {
			return errors.Join(t.err, err)
		}
		return nil // the savepoint is still there
	}
	if last {
		return nil // the commit takes it along
	}
	return c.engine.script(c, "RELEASE change", "SAVEPOINT change")
}

// try keeps a panic of the caller's own code from taking the writer along: it is
// raised again where the caller waits.
func (t *task) try(c *conn) error {
	defer func() { t.panic = recover() }()
	return t.run(c)
}

// unavailable is what callers get when nothing is known to be written. An error
// that makes the state of a file doubtful ends all writing.
func (w *writer) unavailable(err error) error {
	if w.conn.engine.breaks(err) && w.broken.Load() == nil {
		err = errors.Join(ErrBroken, err)
		w.broken.Store(&err)
	}
	return fault.Wrap(err, fault.Unavailable, "The server cannot write to its storage.")
}
