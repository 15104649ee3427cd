package sqlstore

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

const grantColumns = "g.id, g.session_id, g.user_id, g.client_id, g.api_id, g.scopes, g.created_at, g.expires_at, g.gen, g.rotated_at, g.replays, g.details"

const grantWidth = 12

// grant takes the next columns, grantColumns.
func (r *row) grant() grant.Grant {
	return grant.Grant{
		ID: r.text(), SessionID: r.text(), UserID: r.text(), ClientID: r.text(), APIID: r.text(), Scopes: r.list(),
		CreatedAt: r.time(), ExpiresAt: r.time(), Gen: uint32(r.int()), RotatedAt: r.time(), Replays: int(r.int()),
		Details: r.details(),
	}
}

// AddGrant implements grant.Store.
func (s *Store) AddGrant(ctx context.Context, g grant.Grant, fx revoke.Effects) (bool, error) {
	return s.report(ctx, fx, func(c *conn) error {
		err := once(c.number(`SELECT count(*) FROM sessions AS s, users AS u, clients AS c WHERE s.id = $1 AND u.id = $2 AND c.id = $3`,
			g.SessionID, g.UserID, g.ClientID))
		if err != nil {
			return err
		}
		return c.putGrant(g)
	})
}

// putGrant adds a grant whose session, user and client are known to be there.
func (c *conn) putGrant(g grant.Grant) error {
	if g.Details.Consented {
		given, found, err := c.consent(g.UserID, g.ClientID, g.APIID)
		if err != nil {
			return err
		}
		if !found || !given.Covers(g.Scopes) {
			return errRefused
		}
	}
	details, err := detailsText(g.Details)
	if err != nil {
		return err
	}
	n, err := c.exec(`INSERT INTO grants (id, session_id, user_id, client_id, api_id, scopes, created_at, expires_at, gen, rotated_at, replays, details)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		g.ID, g.SessionID, g.UserID, g.ClientID, g.APIID, texts(g.Scopes), micros(g.CreatedAt), micros(g.ExpiresAt), int64(g.Gen),
		micros(g.RotatedAt), int64(g.Replays), details)
	return free("grant id", n, err)
}

// ChangeGrant implements grant.Store.
func (s *Store) ChangeGrant(ctx context.Context, grantID string, decide func(grant.State) grant.Change) error {
	return s.insist(ctx, revoke.Effects{}, func(c *conn) error { return s.changeGrant(c, grantID, decide) })
}

// changeGrant is the only place where code of the caller runs inside a
// transaction; decide is pure.
func (s *Store) changeGrant(c *conn, grantID string, decide func(grant.State) grant.Change) error {
	st, err := s.snapshot(c, grant.Query{GrantID: grantID})
	if err != nil {
		return err
	}
	ch := decide(st)
	if err := c.guard(ch.Effects.Guard); err != nil {
		return err
	}
	if st.Grant != nil && ch.Next != nil {
		_, err := c.exec("UPDATE grants SET scopes = $2, gen = $3, rotated_at = $4, replays = $5 WHERE id = $1",
			grantID, texts(ch.Next.Scopes), int64(ch.Next.Gen), micros(ch.Next.RotatedAt), int64(ch.Next.Replays))
		if err != nil {
			return err
		}
		if st.Grant.Pending() {
			if err := c.settle(grantID, *ch.Next); err != nil {
				return err
			}
		}
	}
	return c.apply(ch.Effects)
}

// settle writes what only a pending grant may change.
func (c *conn) settle(grantID string, next grant.Grant) error {
	details, err := detailsText(next.Details)
	if err != nil {
		return err
	}
	_, err = c.exec("UPDATE grants SET expires_at = $2, details = $3 WHERE id = $1", grantID, micros(next.ExpiresAt), details)
	return err
}

// detailsText is details as stored: nothing for those of a sign-in.
func detailsText(d grant.Details) (string, error) {
	if d == (grant.Details{}) {
		return "", nil
	}
	return encode(d)
}

func (r *row) details() (d grant.Details) {
	if text := r.text(); text != "" {
		r.decode(text, &d)
	}
	return d
}

const tokenColumns = "SELECT digest, id, grant_id, session_id, user_id, client_id, api_id, claims, expires_at FROM tokens "

// AddToken implements grant.Store.
func (s *Store) AddToken(ctx context.Context, t grant.AccessToken) (bool, error) {
	return s.report(ctx, revoke.Effects{}, func(c *conn) error {
		if t.SessionID != "" {
			if err := once(c.number("SELECT count(*) FROM sessions WHERE id = $1", t.SessionID)); err != nil {
				return err
			}
		}
		return c.putToken(t)
	})
}

// putToken adds a token whose session is known to be there.
func (c *conn) putToken(t grant.AccessToken) error {
	err := once(c.number(`SELECT count(*) FROM clients WHERE id = $3
			AND ($1 = '' OR EXISTS (SELECT 1 FROM grants WHERE id = $1))
			AND ($2 = '' OR EXISTS (SELECT 1 FROM users WHERE id = $2))`,
		t.GrantID, t.UserID, t.ClientID))
	if err != nil {
		return err
	}
	n, err := c.exec(`INSERT INTO tokens (digest, id, grant_id, session_id, user_id, client_id, api_id, claims, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		t.Digest[:], t.ID, t.GrantID, t.SessionID, t.UserID, t.ClientID, t.APIID, blob(t.Claims), micros(t.ExpiresAt))
	return free("token digest", n, err)
}

// blob is bytes as they are stored: without any it is NULL.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// TokenByDigest implements grant.Store.
func (s *Store) TokenByDigest(ctx context.Context, d opaque.Digest) (t grant.AccessToken, found bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err = c.one(func(r *row) {
			t = grant.AccessToken{
				Digest: r.digest(), ID: r.text(), GrantID: r.text(), SessionID: r.text(), UserID: r.text(), ClientID: r.text(),
				APIID: r.text(), Claims: r.bytes(), ExpiresAt: r.time(),
			}
		}, tokenColumns+"WHERE digest = $1", d[:])
		return err
	})
	return t, found, err
}

// PurgeTokens implements grant.Store.
func (s *Store) PurgeTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	tokens, err := s.purge(ctx, limit, func(c *conn, most int) (int64, error) {
		return c.exec("DELETE FROM tokens WHERE digest IN (SELECT digest FROM tokens WHERE expires_at < $1 LIMIT $2)", micros(now), int64(most))
	})
	if err != nil {
		return tokens, err
	}
	grants, err := s.purge(ctx, limit-tokens, func(c *conn, most int) (int64, error) {
		return c.exec("DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)", micros(now), int64(most))
	})
	return tokens + grants, err
}
