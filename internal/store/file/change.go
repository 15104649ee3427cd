package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/records"
)

// tmp ends the name of a file that is being written.
const tmp = ".tmp"

// Add implements session.Home.
func (h *Home) Add(ctx context.Context, r session.Record) error {
	r = records.Kept(r)
	data, err := encode(r)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The session cannot be kept in a file.")
	}
	return h.inTurn(ctx, r.ID, func(ctx context.Context) error {
		there, err := h.peek(ctx, r.ID)
		if err != nil {
			return err
		}
		if there != nil {
			return taken("id")
		}
		return h.claiming(ctx, r.ID, r.Secret, func() error {
			if err := h.put(r.ID, data); err != nil {
				return err
			}
			return h.Write(ctx, func(set *records.Set) error {
				if !set.Add(r) {
					return taken("secret")
				}
				return nil
			})
		})
	})
}

// Renew implements session.Home.
func (h *Home) Renew(ctx context.Context, old opaque.Digest, next session.Session) (ok bool, err error) {
	err = h.inTurn(ctx, next.ID, func(ctx context.Context) error {
		is, err := h.peek(ctx, next.ID)
		if err != nil || is == nil {
			return err
		}
		r, allowed := records.Renewed(is, old, next)
		if !allowed {
			return nil
		}
		err = h.claiming(ctx, r.ID, r.Secret, func() error { return h.replace(ctx, r) })
		ok = err == nil
		return err
	})
	return ok, err
}

// Leave implements session.Home.
func (h *Home) Leave(ctx context.Context, id string) (left session.Record, found bool, err error) {
	err = h.inTurn(ctx, id, func(ctx context.Context) error {
		is, err := h.peek(ctx, id)
		if err != nil || is == nil {
			return err
		}
		r := records.Copy(is)
		if !r.Leaving {
			r.Leaving = true
			if err := h.replace(ctx, r); err != nil {
				return err
			}
		}
		left, found = records.Copy(&r), true
		return nil
	})
	return left, found, err
}

// Touch implements session.Home.
func (h *Home) Touch(ctx context.Context, touches []session.Touch) (int, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	var n atomic.Int64
	err = each(len(touches), func(i int) error {
		live, err := h.touch(ctx, touches[i])
		if live {
			n.Add(1)
		}
		return err
	})
	return int(n.Load()), err
}

func (h *Home) touch(ctx context.Context, t session.Touch) (live bool, err error) {
	if err := h.turns.take(ctx, t.ID); err != nil {
		return false, err
	}
	defer h.turns.give(t.ID)
	ctx = context.WithoutCancel(ctx)
	is, err := h.peek(ctx, t.ID)
	if err != nil || is == nil {
		return false, err
	}
	r, changed, live := records.Touched(is, t)
	if !live || !changed {
		return live, nil
	}
	_, path := h.place(t.ID)
	err = h.disk.patch(path, func(head []byte) ([]byte, int64, error) { return nextUse(head, r) })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoPlace) {
		// Somebody removed the file or wrote into it. The session is still here:
		// put it back, or every batch with it would fail.
		err = h.replace(ctx, r)
		return err == nil, err
	}
	if err != nil {
		return false, unavailable(fmt.Errorf("note use: %w", err))
	}
	return true, h.change(ctx, r)
}

// inTurn makes a change to one session. Once it has begun, the context no longer
// stops it.
func (h *Home) inTurn(ctx context.Context, id string, do func(context.Context) error) error {
	end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := h.turns.take(ctx, id); err != nil {
		return err
	}
	defer h.turns.give(id)
	return do(context.WithoutCancel(ctx))
}

// peek returns a record as it is, nil when there is none.
func (h *Home) peek(ctx context.Context, id string) (r *session.Record, err error) {
	err = h.Read(ctx, func(set *records.Set) { r = set.ByID(id) })
	return r, err
}

// claiming makes a change that gives a session a secret, which nobody else can
// take meanwhile.
func (h *Home) claiming(ctx context.Context, id string, secret opaque.Digest, do func() error) (err error) {
	err = h.Write(ctx, func(set *records.Set) error {
		_, wanted := h.wanted[secret]
		if is := set.BySecret(secret); wanted || is != nil && is.ID != id {
			return taken("secret")
		}
		h.wanted[secret] = id
		return nil
	})
	if err != nil {
		return err
	}
	defer func() {
		free := h.Write(ctx, func(*records.Set) error {
			delete(h.wanted, secret)
			return nil
		})
		if err == nil {
			err = free
		}
	}()
	return do()
}

func taken(what string) error {
	return fault.New(fault.Conflict, "The session "+what+" is taken.")
}

// replace writes a record in the place of another, on the disk and then in
// memory.
func (h *Home) replace(ctx context.Context, r session.Record) error {
	data, err := encode(r)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The session cannot be kept in a file.")
	}
	if err := h.put(r.ID, data); err != nil {
		return err
	}
	return h.change(ctx, r)
}

func (h *Home) change(ctx context.Context, r session.Record) error {
	return h.Write(ctx, func(set *records.Set) error {
		if !set.Change(r) {
			return errors.New("a record changed out of turn")
		}
		return nil
	})
}

// put writes a file and returns when it is durable. When it fails before the file
// has its name nothing has changed; afterwards nobody knows.
func (h *Home) put(id string, data []byte) error {
	h.writing <- struct{}{}
	defer func() { <-h.writing }()
	folder, path := h.place(id)
	err := h.disk.write(path+tmp, data)
	if err == nil {
		err = h.disk.rename(path+tmp, path)
	}
	if err != nil {
		// What stays is removed at the next Open, or overwritten.
		_ = h.disk.remove(path + tmp)
		return unavailable(fmt.Errorf("write session: %w", err))
	}
	if err := h.folders[folder].flush(); err != nil {
		return h.breaks(err)
	}
	return nil
}
