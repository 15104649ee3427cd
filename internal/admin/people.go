package admin

import (
	"context"

	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/session"
)

// Directory is where People looks.
type Directory interface {
	UserStore
	SessionByID(ctx context.Context, id string) (s session.Session, found bool, err error)
}

// People finds users and sessions for package receiver.
type People struct{ In Directory }

var _ receiver.People = People{}

// UserByLogin implements receiver.People.
func (p People) UserByLogin(ctx context.Context, canonical string) (string, bool, error) {
	u, found, err := p.In.UserByLogin(ctx, canonical)
	return u.ID, found, err
}

// HasUser implements receiver.People.
func (p People) HasUser(ctx context.Context, id string) (bool, error) {
	_, found, err := p.In.UserByID(ctx, id)
	return found, err
}

// SessionUser implements receiver.People.
func (p People) SessionUser(ctx context.Context, sid string) (string, bool, error) {
	s, found, err := p.In.SessionByID(ctx, sid)
	return s.UserID, found, err
}
