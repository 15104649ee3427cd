package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/role"
)

// A snapshot is one statement: all of it, the log position included, is of one
// moment. There is one row for each role of the user, at least one.
const (
	snapshotOfGrant = "SELECT k.value, " + grantColumns + ", " + sessionColumns + snapshotRest + `
		LEFT JOIN grants AS g ON g.id = $1
		LEFT JOIN sessions AS s ON s.id = g.session_id
		LEFT JOIN users AS u ON u.id = g.user_id
		LEFT JOIN clients AS c ON c.id = g.client_id
		LEFT JOIN apis AS a ON a.id = g.api_id` + snapshotRoles

	snapshotBySecret = "SELECT k.value, " + noGrant + ", " + sessionColumns + snapshotRest + `
		LEFT JOIN sessions AS s ON s.secret = $1` + snapshotAsked

	snapshotByID = "SELECT k.value, " + noGrant + ", " + sessionColumns + snapshotRest + `
		LEFT JOIN sessions AS s ON s.id = $1` + snapshotAsked

	noGrant       = "NULL"
	snapshotRest  = ", u.id, u.canonical, u.version, u.password_hash, u.body, c.id, c.version, c.body, a.id, a.version, a.body, r.id, r.version, r.body\n\t\tFROM counters AS k"
	snapshotAsked = `
		LEFT JOIN users AS u ON u.id = CASE WHEN $2 = '' THEN s.user_id ELSE $2 END
		LEFT JOIN clients AS c ON c.id = $3
		LEFT JOIN apis AS a ON a.id = $4` + snapshotRoles
	snapshotRoles = `
		LEFT JOIN user_roles AS ur ON ur.user_id = u.id
		LEFT JOIN roles AS r ON r.id = ur.role_id
		WHERE k.name = 'revocations'`
)

const (
	userWidth     = 5
	registerWidth = 3
)

// Snapshot implements grant.Store.
func (s *Store) Snapshot(ctx context.Context, q grant.Query) (st grant.State, err error) {
	err = s.read(ctx, func(c *conn) error {
		switch {
		case q.GrantID != "":
			st, err = s.snapshot(c, snapshotOfGrant, q.GrantID)
		case !q.SessionSecret.IsZero():
			st, err = s.snapshot(c, snapshotBySecret, q.SessionSecret[:], q.UserID, q.ClientID, q.APIID)
		default:
			st, err = s.snapshot(c, snapshotByID, q.SessionID, q.UserID, q.ClientID, q.APIID)
		}
		return err
	})
	return st, err
}

func (s *Store) snapshot(c *conn, query string, args ...any) (st grant.State, err error) {
	first := true
	err = c.each(func(r *row) error {
		if first {
			s.readState(r, &st, query == snapshotOfGrant)
			first = false
		}
		r.at = len(r.vals) - registerWidth
		if !r.missing() {
			st.Roles = append(st.Roles, s.roles.read(r))
		}
		return nil
	}, query, args...)
	if err != nil {
		return grant.State{}, err
	}
	if len(st.Roles) > 1 {
		slices.SortFunc(st.Roles, func(a, b role.Role) int {
			return cmp.Compare(slices.Index(st.User.Roles, a.ID), slices.Index(st.User.Roles, b.ID))
		})
	}
	return st, nil
}

func (s *Store) readState(r *row, st *grant.State, ofGrant bool) {
	st.RSN = r.int()
	if ofGrant {
		st.Grant = optional(r, grantWidth, (*row).grant)
	} else {
		r.skip(1)
	}
	st.Session = optional(r, sessionWidth, (*row).session)
	st.User = optional(r, userWidth, (*row).user)
	st.Client = optional(r, registerWidth, s.clients.read)
	st.API = optional(r, registerWidth, s.apis.read)
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
