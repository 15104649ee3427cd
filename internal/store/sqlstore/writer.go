package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/wafer-auth/wafer/internal/fault"
)

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("store is closed")

// ErrBroken means that an earlier change met an I/O error. Nothing is written
// until the store is opened again, which recovers what was acknowledged.
var ErrBroken = errors.New("store stopped writing after an I/O error")

// batchMost is how many changes share a transaction at most. It bounds how long
// the first of them waits for the last.
const batchMost = 256

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
	view     *atomic.Pointer[view] // what readers may take for the last commit
	commit   func(*conn) error
	wake     chan struct{}
	finished chan struct{}
	broken   atomic.Pointer[error]

	mu     sync.Mutex
	queue  []*task
	closed bool
}

func newWriter(c *conn, v *atomic.Pointer[view]) *writer {
	w := &writer{conn: c, view: v, wake: make(chan struct{}, 1), finished: make(chan struct{})}
	w.commit = func(c *conn) error {
		_, err := c.exec("COMMIT")
		return err
	}
	return w
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
		n := min(len(w.queue), batchMost)
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

// transact commits the tasks that succeed. An error means that none is written.
func (w *writer) transact(tasks []*task) (err error) {
	if broken := w.broken.Load(); broken != nil {
		return *broken
	}
	if _, err := w.conn.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			w.view.Store(nil)              // nobody knows what a failed commit left
			_, _ = w.conn.exec("ROLLBACK") // SQLite may have done so itself
		}
	}()
	for _, t := range tasks {
		if err := w.runInSavepoint(t); err != nil {
			return err
		}
	}
	next, err := w.conn.look(w.view.Load())
	if err != nil {
		return err
	}
	if err := w.commit(w.conn); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.view.Store(next) // before any of the callers hears of its change
	return nil
}

// runInSavepoint runs one task. An error means that the transaction is lost.
func (w *writer) runInSavepoint(t *task) error {
	if _, err := w.conn.exec("SAVEPOINT change"); err != nil {
		return err
	}
	t.err = t.try(w.conn)
	if t.err != nil || t.panic != nil {
		if ofStorage(t.err) {
			return t.err
		}
		if _, err := w.conn.exec("ROLLBACK TO change"); err != nil {
			return errors.Join(t.err, err)
		}
	}
	_, err := w.conn.exec("RELEASE change")
	return err
}

// try keeps a panic of the caller's own code from taking the writer along: it is
// raised again where the caller waits.
func (t *task) try(c *conn) error {
	defer func() { t.panic = recover() }()
	return t.run(c)
}

// unavailable is what callers get when nothing could be written. An error that
// makes the state of the file doubtful ends all writing.
func (w *writer) unavailable(err error) error {
	switch primary(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		if w.broken.Load() == nil {
			err = errors.Join(ErrBroken, err)
			w.broken.Store(&err)
		}
	}
	return fault.Wrap(err, fault.Unavailable, "The server cannot write to its storage.")
}

// ofStorage reports whether an error is about the storage, not about the change
// that met it: its neighbors would meet it too.
func ofStorage(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// primary is SQLite's primary result code in an error, 0 without one.
func primary(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
