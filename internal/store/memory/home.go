package memory

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/records"
)

var _ session.Home = (*Home)(nil)

// Home keeps sessions in memory and nowhere else. Make one with NewHome.
type Home struct{ *records.Shared }

// NewHome returns an empty home.
func NewHome() *Home { return &Home{records.NewShared()} }

// Add implements session.Home.
func (h *Home) Add(ctx context.Context, r session.Record) error {
	r = records.Kept(r)
	return h.Write(ctx, func(set *records.Set) error {
		if !set.Add(r) {
			return taken("session id or secret")
		}
		return nil
	})
}

// Renew implements session.Home.
func (h *Home) Renew(ctx context.Context, old opaque.Digest, next session.Session) (ok bool, err error) {
	err = h.Write(ctx, func(set *records.Set) error {
		is := set.ByID(next.ID)
		if is == nil {
			return nil
		}
		r, allowed := records.Renewed(is, old, next)
		if !allowed {
			return nil
		}
		ok = set.Change(r)
		if !ok {
			return taken("session secret")
		}
		return nil
	})
	return ok, err
}

// Touch implements session.Home.
func (h *Home) Touch(ctx context.Context, touches []session.Touch) (n int, err error) {
	if err := h.Ping(ctx); err != nil {
		return 0, err
	}
	for len(touches) > 0 {
		some := touches[:min(records.Few, len(touches))]
		err := h.Write(ctx, func(set *records.Set) error {
			for _, t := range some {
				n += touchIn(set, t)
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		touches = touches[len(some):]
	}
	return n, nil
}

func touchIn(set *records.Set, t session.Touch) int {
	is := set.ByID(t.ID)
	if is == nil {
		return 0
	}
	r, changed, live := records.Touched(is, t)
	if !live {
		return 0
	}
	if changed {
		set.Change(r)
	}
	return 1
}

// End implements session.Home. It is one step for each few records.
func (h *Home) End(ctx context.Context, ref revoke.Ref, seq int64) (ids []string, err error) {
	for next := records.Start; next > 0; {
		err := h.Write(ctx, func(set *records.Set) error {
			var part []*session.Record
			part, next = set.WalkOf(ref, next, records.Few)
			for _, r := range part {
				if records.Covers(ref, seq, r) && set.Remove(r.ID) {
					ids = append(ids, r.ID)
				}
			}
			return nil
		})
		if err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// Purge implements session.Home. It is one step for each few records.
func (h *Home) Purge(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	if err := h.Ping(ctx); err != nil {
		return nil, err
	}
	for more := true; more && len(ids) < limit; {
		err := h.Write(ctx, func(set *records.Set) error {
			var dead []*session.Record
			dead, more = set.Dead(now, min(records.Few, limit-len(ids)))
			for _, r := range dead {
				set.Remove(r.ID)
				ids = append(ids, r.ID)
			}
			return nil
		})
		if err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// Leave implements session.Home.
func (h *Home) Leave(ctx context.Context, id string) (left session.Record, there bool, err error) {
	err = h.Write(ctx, func(set *records.Set) error {
		is := set.ByID(id)
		if is == nil {
			return nil
		}
		r := records.Copy(is)
		r.Leaving = true
		set.Change(r)
		left, there = records.Copy(&r), true
		return nil
	})
	return left, there, err
}

// Risks implements session.Home.
func (h *Home) Risks(ctx context.Context) ([]string, error) {
	if err := h.Ping(ctx); err != nil {
		return nil, err
	}
	return []string{"Sessions are kept in memory: a restart signs everybody out."}, nil
}

// Ping implements session.Home. It fails after Close.
func (h *Home) Ping(ctx context.Context) error { return h.Read(ctx, func(*records.Set) {}) }

// Close forgets everything.
func (h *Home) Close() error {
	h.Shut()
	return nil
}
