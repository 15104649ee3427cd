package sqlstore

import (
	"context"
	"strings"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Standing implements store.Truth. With more than refsMost refs the position is
// that of the first few, and an entry for one of the others may be newer: it
// covers all the same.
func (s *Store) Standing(ctx context.Context, rsn int64, refs []revoke.Ref) (head int64, covered bool, err error) {
	if v := s.latest(); v != nil && v.head <= rsn {
		return v.head, false, s.usable(ctx)
	}
	err = s.read(ctx, func(c *conn) error {
		head, covered, err = c.standing(rsn, refs)
		return err
	})
	return head, covered, err
}

func (c *conn) standing(rsn int64, refs []revoke.Ref) (head int64, covered bool, err error) {
	if len(refs) == 0 {
		head, err = c.head()
		return head, false, err
	}
	for first := true; len(refs) > 0; first = false {
		some := refs[:min(len(refs), refsMost)]
		refs = refs[len(some):]
		_, err := c.one(func(r *row) {
			if at := r.int(); first {
				head = at
			}
			covered = covered || !r.missing()
		}, standingOf[len(some)], probes(some, func(revoke.Kind) int64 { return rsn })...)
		if err != nil {
			return 0, false, err
		}
	}
	return head, covered, nil
}

// standingOf is, for each number of refs, the statement that reads the position
// of the log and the newest entry for any of them.
var standingOf = func() (queries [refsMost + 1]string) {
	for n := range queries {
		queries[n] = "SELECT k.value, (SELECT max(seq) FROM (" + strings.Join(probeOf(n), " UNION ALL ") +
			") AS found) FROM counters AS k WHERE k.name = 'revocations'"
	}
	return queries
}()

// AddGrantApart implements store.Truth.
func (s *Store) AddGrantApart(ctx context.Context, g grant.Grant, fx revoke.Effects, also revoke.Guard) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		if err := c.guard(&also); err != nil {
			return err
		}
		err := once(c.number("SELECT count(*) FROM users AS u, clients AS c WHERE u.id = $1 AND c.id = $2", g.UserID, g.ClientID))
		if err != nil {
			return err
		}
		return c.putGrant(g)
	})
}

// AddTokenApart implements store.Truth.
func (s *Store) AddTokenApart(ctx context.Context, t grant.AccessToken, also revoke.Guard) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		if err := c.guard(&also); err != nil {
			return err
		}
		return c.putToken(t)
	})
}

// ChangeGrantApart implements store.Truth.
func (s *Store) ChangeGrantApart(
	ctx context.Context, grantID string, one *session.Session, also revoke.Guard, decide func(grant.State) grant.Change,
) error {
	return s.insist(ctx, revoke.Effects{}, func(c *conn) error {
		if err := c.guard(&also); err != nil {
			return err
		}
		return s.changeGrant(c, grantID, func(st grant.State) grant.Change {
			st.Session = one
			return decide(st)
		})
	})
}

// ForgetSessions implements store.Truth.
func (s *Store) ForgetSessions(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		some := ids[:min(len(ids), step)]
		ids = ids[len(some):]
		err := s.write(ctx, func(c *conn) error {
			args := argsOf(some)
			for _, query := range hanging {
				if _, err := c.many(query, args); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func argsOf(ids []string) [][]any {
	all := make([][]any, len(ids))
	for i, id := range ids {
		all[i] = []any{id}
	}
	return all
}
