package manage

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func sessionShape(s session.Session) Session {
	return Session{
		ID: s.ID, User: s.UserID, Client: s.ClientID, CreatedAt: second(s.CreatedAt), AuthTime: second(s.AuthTime), AMR: filled(s.AMR),
		SeenAt: second(s.SeenAt), IdleUntil: second(s.IdleUntil), ExpiresAt: second(s.ExpiresAt), Address: s.Address, Agent: s.Agent,
	}
}

// listSessions lists the live sessions of one user, all of them, newest first.
func (s *Surface) listSessions(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r, "user")
	if err != nil {
		return err
	}
	if p.query.Get("user") == "" {
		return fault.New(fault.Invalid, "Name the user: ?user=, by id or login.")
	}
	u, err := s.Users.User(r.Context(), p.query.Get("user"))
	if err != nil {
		return err
	}
	all, err := s.Sessions.List(r.Context(), u.ID)
	if err != nil {
		return err
	}
	out := List[Session]{Items: make([]Session, 0, len(all))}
	for _, one := range all {
		out.Items = append(out.Items, sessionShape(one))
	}
	respond.JSON(w, http.StatusOK, out)
	return nil
}

func (s *Surface) endSession(w http.ResponseWriter, r *http.Request, c caller) error {
	ended, err := s.Sessions.End(r.Context(), session.EndOne{ID: r.PathValue("id"), Actor: c.actor, Reason: "admin"})
	if err != nil {
		return err
	}
	if !ended {
		return fault.New(fault.NotFound, "There is no such session.")
	}
	respond.NoContent(w)
	return nil
}
