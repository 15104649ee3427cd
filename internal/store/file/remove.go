package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/records"
)

// End implements session.Home. After an error it returns what it removed before.
func (h *Home) End(ctx context.Context, ref revoke.Ref, seq int64) ([]string, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	out := removal{h: h, which: func(r *session.Record) bool { return records.Covers(ref, seq, r) }}
	for next := records.Start; next > 0 && err == nil; {
		var part []*session.Record
		err = h.Read(ctx, func(set *records.Set) { part, next = set.WalkOf(ref, next, records.Few) })
		if err == nil {
			err = out.some(ctx, part)
		}
	}
	return out.finish(err)
}

// Purge implements session.Home. After an error it returns what it removed
// before.
func (h *Home) Purge(ctx context.Context, now time.Time, limit int) ([]string, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	out := removal{h: h, which: func(r *session.Record) bool { return !r.Live(now) }}
	for more := true; more && len(out.ids) < limit && err == nil; {
		var dead []*session.Record
		err = h.Write(ctx, func(set *records.Set) error {
			dead, more = set.Dead(now, min(records.Few, limit-len(out.ids)))
			return nil
		})
		if err != nil {
			break
		}
		if err = out.some(ctx, dead); err != nil {
			err = errors.Join(err, h.Write(context.WithoutCancel(ctx), func(set *records.Set) error {
				set.Missed(dead)
				return nil
			}))
		}
	}
	return out.finish(err)
}

// A removal removes records and flushes, once at the end, the folders they were
// in. Nobody waits for it except for a record that it is just removing.
type removal struct {
	h     *Home
	which func(*session.Record) bool

	mu      sync.Mutex
	ids     []string
	touched [folders]bool
}

func (o *removal) some(ctx context.Context, part []*session.Record) error {
	var due []string
	for _, r := range part {
		if o.which(r) {
			due = append(due, r.ID)
		}
	}
	return each(len(due), func(i int) error { return o.one(ctx, due[i]) })
}

func (o *removal) one(ctx context.Context, id string) error {
	h := o.h
	if err := h.turns.take(ctx, id); err != nil {
		return err
	}
	defer h.turns.give(id)
	ctx = context.WithoutCancel(ctx)
	is, err := h.peek(ctx, id)
	if err != nil || is == nil || !o.which(is) {
		return err // it changed, or another one has its id now
	}
	folder, path := h.place(id)
	if err := h.disk.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable(fmt.Errorf("remove session: %w", err))
	}
	o.mu.Lock()
	o.ids, o.touched[folder] = append(o.ids, id), true
	o.mu.Unlock()
	return h.Write(ctx, func(set *records.Set) error {
		set.Remove(id)
		return nil
	})
}

func (o *removal) finish(err error) ([]string, error) {
	var due []int
	for n, touched := range o.touched {
		if touched {
			due = append(due, n)
		}
	}
	flushed := each(len(due), func(i int) error { return o.h.folders[due[i]].flush() })
	if flushed != nil {
		err = errors.Join(err, o.h.breaks(flushed))
	}
	return o.ids, err
}
