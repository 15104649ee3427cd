package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/role"
)

// A snapshot is one statement: all of it, the log position included, is of one
// moment. The whole has one row for each role of the user, at least one. The brief
// one leaves the registers out, for when they are known; it is one row.
type shape struct {
	whole, brief string
	ofGrant      bool
}

var (
	ofGrant = shape{ofGrant: true,
		whole: snapshotHead + grantColumns + ", " + sessionColumns + snapshotUser + snapshotRegisters + snapshotFrom + snapshotGrant + `
			LEFT JOIN clients AS c ON c.id = g.client_id
			LEFT JOIN apis AS a ON a.id = g.api_id` + snapshotRoles + snapshotWhere,
		brief: snapshotHead + grantColumns + ", " + sessionColumns + snapshotUser + snapshotFrom + snapshotGrant + snapshotWhere,
	}
	bySecret = asked("s.secret")
	byID     = asked("s.id")
)

func asked(key string) shape {
	join := `
		LEFT JOIN sessions AS s ON ` + key + ` = $1
		LEFT JOIN users AS u ON u.id = CASE WHEN $2 = '' THEN s.user_id ELSE $2 END`
	return shape{
		whole: snapshotHead + sessionColumns + snapshotUser + snapshotRegisters + snapshotFrom + join + `
			LEFT JOIN clients AS c ON c.id = $3
			LEFT JOIN apis AS a ON a.id = $4` + snapshotRoles + snapshotWhere,
		brief: snapshotHead + sessionColumns + snapshotUser + snapshotFrom + join + snapshotWhere,
	}
}

const (
	snapshotHead      = "SELECT k.value, k.registers, "
	snapshotUser      = ", u.id, u.canonical, u.version, u.password_hash, u.body"
	snapshotRegisters = ", c.id, c.version, c.body, a.id, a.version, a.body, r.id, r.version, r.body"
	snapshotFrom      = " FROM counters AS k"
	snapshotGrant     = `
		LEFT JOIN grants AS g ON g.id = $1
		LEFT JOIN sessions AS s ON s.id = g.session_id
		LEFT JOIN users AS u ON u.id = g.user_id`
	snapshotRoles = `
		LEFT JOIN user_roles AS ur ON ur.user_id = u.id
		LEFT JOIN roles AS r ON r.id = ur.role_id`
	snapshotWhere = `
		WHERE k.name = 'revocations'`
)

const (
	userWidth     = 5
	registerWidth = 3
)

// Snapshot implements grant.Store.
func (s *Store) Snapshot(ctx context.Context, q grant.Query) (st grant.State, err error) {
	if err := s.usable(ctx); err != nil {
		return grant.State{}, err
	}
	if st, ok := s.recall(q); ok {
		return st, nil
	}
	err = s.read(ctx, func(c *conn) error {
		st, err = s.snapshot(c, q)
		return err
	})
	return st, err
}

func (s *Store) snapshot(c *conn, q grant.Query) (grant.State, error) {
	var key any = q.SessionID
	form := byID
	switch {
	case q.GrantID != "":
		form, key = ofGrant, q.GrantID
	case !q.SessionSecret.IsZero():
		form, key = bySecret, q.SessionSecret[:]
	}
	if v := s.view.Load(); v != nil {
		if st, ok, err := s.readBrief(c, form, v.known, key, q); err != nil || ok {
			return st, err
		}
	}
	return s.readWhole(c, form, key, q)
}

// readBrief reads a state whose rows of registers are known. ok is false when
// they are not, or when a register has changed.
func (s *Store) readBrief(c *conn, form shape, k *known, key any, q grant.Query) (st grant.State, ok bool, err error) {
	args := []any{key}
	if !form.ofGrant {
		args = append(args, q.UserID)
	}
	clientID, apiID, current := q.ClientID, q.APIID, false
	_, err = c.one(func(r *row) {
		current = s.readState(r, &st, form.ofGrant) == k.generation
	}, form.brief, args...)
	if err != nil || !current {
		return grant.State{}, false, err
	}
	if form.ofGrant {
		clientID, apiID = "", ""
		if st.Grant != nil {
			clientID, apiID = st.Grant.ClientID, st.Grant.APIID
		}
	}
	if !s.fill(&st, k, clientID, apiID) {
		return grant.State{}, false, nil
	}
	return st, true, nil
}

func (s *Store) readWhole(c *conn, form shape, key any, q grant.Query) (st grant.State, err error) {
	args := []any{key}
	if !form.ofGrant {
		args = append(args, q.UserID, q.ClientID, q.APIID)
	}
	generation, first := int64(0), true
	err = c.each(func(r *row) error {
		if first {
			generation = s.readState(r, &st, form.ofGrant)
			st.Client = optional(r, registerWidth, s.clients.read)
			st.API = optional(r, registerWidth, s.apis.read)
			first = false
		}
		r.at = len(r.vals) - registerWidth
		if !r.missing() {
			st.Roles = append(st.Roles, s.roles.read(r))
		}
		return nil
	}, form.whole, args...)
	if err != nil {
		return grant.State{}, err
	}
	if len(st.Roles) > 1 {
		slices.SortFunc(st.Roles, func(a, b role.Role) int {
			return cmp.Compare(slices.Index(st.User.Roles, a.ID), slices.Index(st.User.Roles, b.ID))
		})
	}
	s.remember(c, &st, generation)
	return st, nil
}

// readState takes the columns before the registers. It returns how often these
// have changed.
func (s *Store) readState(r *row, st *grant.State, ofGrant bool) (generation int64) {
	st.RSN, generation = r.int(), r.int()
	if ofGrant {
		st.Grant = optional(r, grantWidth, (*row).grant)
	}
	st.Session = optional(r, sessionWidth, (*row).session)
	st.User = optional(r, userWidth, s.frequent)
	return generation
}

// optional reads what an outer join may not have found.
func optional[T any](r *row, width int, read func(*row) T) *T {
	if r.missing() {
		r.skip(width)
		return nil
	}
	thing := read(r)
	return &thing
}
