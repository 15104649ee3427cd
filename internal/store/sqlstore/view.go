package sqlstore

import (
	"slices"
	"sync"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/role"
)

// A view is what is known in memory of one committed moment: the position of the
// revocation log and rows of the registers, which change rarely and are read with
// every request.
//
// It is never older than what any caller was told. One store has the file
// (lockFile), one writer makes its changes, and that writer puts the view of a
// commit in place, in one step, after the commit and before the callers hear of
// it. So a state that is read from a view alone is the state of one moment, and
// its position belongs to it (I3). Between a commit and its view the moment
// before is read, which is as true as having come a little earlier.
//
// A state that needs rows of other tables too is read with one statement, and
// that reads how often the registers have changed as well. Only when this equals
// the number that the rows in memory carry are they taken: then they are, by the
// triggers that count, what the statement itself would have read. Otherwise it
// reads them. This holds inside the writer's own transaction too: what it has not
// committed counts there, and is never the number of a view.
//
// On a server, where other nodes write as well, only the second half is left: a
// view has no head, every state is read with a statement, and a statement that
// shows another number makes the view start anew.
type view struct {
	head  int64 // of a file
	known *known
}

// known is rows of the registers as they are after generation changes. Rows are
// added as they are read; another generation is another known.
type known struct {
	generation int64
	clients    shelf[client.Client]
	apis       shelf[api.API]
	roles      shelf[role.Role]
}

// look reads the view that a commit of what c sees will make true. It goes on
// with what last knows while no register has changed.
func (c *conn) look(last *view) (*view, error) {
	next := &view{}
	generation := int64(0)
	_, err := c.one(func(r *row) { next.head, generation = r.int(), r.int() },
		"SELECT value, registers FROM counters WHERE name = 'revocations'")
	if err != nil {
		return nil, err
	}
	switch {
	case last == nil || last.known.generation != generation:
		next.known = &known{generation: generation}
	case last.head == next.head:
		return last, nil
	default:
		next.known = last.known
	}
	return next, nil
}

// settle reads, before a commit, the view that it will make true, and returns what
// puts it in place. Without a connection it forgets the last one: nobody knows
// what a failed commit left.
func (s *Store) settle(c *conn) (publish func(), err error) {
	if c == nil {
		s.view.Store(nil)
		return nil, nil
	}
	next, err := c.look(s.view.Load())
	return func() { s.view.Store(next) }, err
}

// latest is the view of the last commit, nil when somebody else may have committed
// since or nothing is known.
func (s *Store) latest() *view {
	if !s.engine.alone() {
		return nil
	}
	return s.view.Load()
}

// recall answers a query of clients and APIs alone. It gives copies.
func (s *Store) recall(q grant.Query) (st grant.State, ok bool) {
	v := s.latest()
	if v == nil || q.GrantID != "" || q.SessionID != "" || q.UserID != "" || !q.SessionSecret.IsZero() {
		return grant.State{}, false
	}
	st.RSN = v.head
	if !s.fill(&st, v.known, q.ClientID, q.APIID) {
		return grant.State{}, false
	}
	return st, true
}

// fill adds the rows of the registers to a state that has its user. It reports
// whether all are known.
func (s *Store) fill(st *grant.State, k *known, clientID, apiID string) bool {
	var ok bool
	if st.Client, ok = k.clients.take(clientID, s.clients.memo.clone); !ok {
		return false
	}
	if st.API, ok = k.apis.take(apiID, s.apis.memo.clone); !ok {
		return false
	}
	if st.User == nil {
		return true
	}
	for i, id := range st.User.Roles {
		if slices.Contains(st.User.Roles[:i], id) {
			continue
		}
		r, ok := k.roles.take(id, s.roles.memo.clone)
		if !ok {
			return false
		}
		if r != nil {
			st.Roles = append(st.Roles, *r)
		}
	}
	return true
}

// remember keeps the rows of the registers of a state that c has read when they
// had changed generation times.
func (s *Store) remember(c *conn, st *grant.State, generation int64) {
	var rows []func(*known)
	if st.Client != nil {
		one := s.clients.memo.clone(*st.Client)
		rows = append(rows, func(k *known) { k.clients.put(one.ID, one) })
	}
	if st.API != nil {
		one := s.apis.memo.clone(*st.API)
		rows = append(rows, func(k *known) { k.apis.put(one.ID, one) })
	}
	for _, r := range st.Roles {
		one := s.roles.memo.clone(r)
		rows = append(rows, func(k *known) { k.roles.put(one.ID, one) })
	}
	keep := func() {
		if v := s.viewOf(generation); v != nil {
			for _, put := range rows {
				put(v.known)
			}
		}
	}
	if c.writes && !s.engine.alone() {
		// The number may be one that is not committed yet. Should it never be,
		// another node gives it to other rows.
		c.learnt = append(c.learnt, keep)
		return
	}
	keep()
}

// viewOf is the view to which rows of a generation belong, nil without one.
func (s *Store) viewOf(generation int64) *view {
	v := s.view.Load()
	if v != nil && v.known.generation == generation {
		return v
	}
	if s.engine.alone() {
		return nil // the writer makes views
	}
	next := &view{known: &known{generation: generation}}
	if !s.view.CompareAndSwap(v, next) {
		return nil
	}
	return next
}

// A shelf holds some rows of a register.
type shelf[T any] struct {
	mu   sync.RWMutex
	rows map[string]*T
}

// take returns a copy of a row, nil for the id "", which none has. ok is false
// for a row that is not here; whether it is anywhere is not known.
func (s *shelf[T]) take(id string, clone func(T) T) (thing *T, ok bool) {
	if id == "" {
		return nil, true
	}
	s.mu.RLock()
	here := s.rows[id]
	s.mu.RUnlock()
	if here == nil {
		return nil, false
	}
	copied := clone(*here)
	return &copied, true
}

// put takes a row that nobody else holds.
func (s *shelf[T]) put(id string, thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil || len(s.rows) >= memoMost {
		s.rows = map[string]*T{}
	}
	s.rows[id] = &thing
}
