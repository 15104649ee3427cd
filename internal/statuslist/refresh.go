package statuslist

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// page is how much is asked of the store at once.
const page = 500

// grace is how long a list stays after its end: for clocks that are behind.
const grace = 10 * time.Minute

// Refresh marks what the log has ended and publishes the lists that changed, or
// that are older than their TTL. It is to be called every few seconds; of any
// number of calls at once one works, and the others wait for it. When it fails,
// what was published before stays until it expires.
func (s *Service) Refresh(ctx context.Context) error {
	return s.refreshes.do(ctx, s.refresh)
}

func (s *Service) refresh(ctx context.Context) error {
	at := s.Now() // before anything is read: a list is as old as what it was made from
	for more := true; more; {
		var err error
		if more, err = s.Store.MarkStatuses(ctx, page); err != nil {
			return fmt.Errorf("mark statuses: %w", err)
		}
	}
	lists, err := s.Store.StatusLists(ctx)
	if err != nil {
		return fmt.Errorf("read status lists: %w", err)
	}
	next := &shelf{documents: make(map[string]*Document, len(lists)), uris: make([]string, 0, len(lists))}
	kept := make(map[string]*list, len(lists))
	for _, row := range lists {
		l := s.lists[row.ID]
		if l == nil {
			l = newList(s.Key, row)
		}
		// Whatever happens to the others, what was read of this one is in it.
		s.lists[row.ID] = l
		if err := s.renew(ctx, l, row, at); err != nil {
			return err
		}
		kept[row.ID], next.documents[row.ID] = l, l.doc
		next.uris = append(next.uris, s.uri(row.ID))
	}
	s.lists = kept
	s.orders.Range(func(id, _ any) bool {
		if kept[id.(string)] == nil {
			s.orders.Delete(id)
		}
		return true
	})
	s.published.Store(next)
	return nil
}

// renew brings a list up to date. Compressing is for what changed alone.
func (s *Service) renew(ctx context.Context, l *list, row List, at time.Time) error {
	for l.ended < row.Ended {
		numbers, err := s.Store.EndedStatuses(ctx, l.id, l.ended, page)
		if err != nil {
			return fmt.Errorf("read status list: %w", err)
		}
		if len(numbers) == 0 {
			break
		}
		l.mark(numbers)
		l.packed = ""
	}
	if l.mislead(at) {
		l.packed = ""
	}
	fresh := l.doc != nil && at.Before(l.doc.Made.Add(s.TTL))
	if l.packed != "" && fresh {
		return nil
	}
	if l.packed == "" {
		var err error
		if l.packed, err = pack(l.bits); err != nil {
			return err
		}
	}
	doc, err := s.sign(l, at)
	if err != nil {
		l.packed = "" // so that it is not taken for published
		return err
	}
	l.doc = doc
	return nil
}

// Purge removes lists that are over. It is to be called about once a minute.
func (s *Service) Purge(ctx context.Context) error {
	if _, err := s.Store.PurgeStatuses(ctx, s.Now().Add(-grace)); err != nil {
		return fmt.Errorf("purge status lists: %w", err)
	}
	return nil
}

// flight lets one of several callers do the work of all. A caller that comes while
// it is under way waits for another run: the one under way may have begun to read
// too early for it.
type flight struct {
	mu      sync.Mutex
	running bool
	next    *run
}

type run struct {
	done chan struct{}
	err  error
}

func (f *flight) do(ctx context.Context, work func(context.Context) error) error {
	f.mu.Lock()
	if f.next == nil {
		f.next = &run{done: make(chan struct{})}
	}
	mine := f.next
	if !f.running {
		f.running = true
		go f.loop(context.WithoutCancel(ctx), work)
	}
	f.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loop works until nobody waits for another run.
func (f *flight) loop(ctx context.Context, work func(context.Context) error) {
	for {
		f.mu.Lock()
		r := f.next
		f.next = nil
		if r == nil {
			f.running = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		r.err = work(ctx)
		close(r.done)
	}
}
