package sessions

import (
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Brief is a session as its owner is told of it at login. It never holds the
// cookie's value or what is stored of it.
type Brief struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Me answers GET /session.
type Me struct {
	Session Mine `json:"session"`
}

// Mine is the session that the request came with.
type Mine struct {
	Brief
	Login    string    `json:"login"`
	AuthTime time.Time `json:"auth_time"`
	AMR      []string  `json:"amr"`
}

// Listed is one row of GET /sessions.
type Listed struct {
	ID        string    `json:"id"`
	Current   bool      `json:"current"`
	Client    string    `json:"client,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Address   string    `json:"address,omitempty"`
	Agent     string    `json:"agent,omitempty"`
}

// Rows answers GET /sessions.
type Rows struct {
	Items []Listed `json:"items"`
}

func brief(s session.Session) Brief {
	return Brief{ID: s.ID, User: s.UserID, ExpiresAt: second(s.ExpiresAt)}
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (s *Surface) whoAmI(w http.ResponseWriter, r *http.Request, at seat) error {
	u, err := s.Accounts.User(r.Context(), at.UserID)
	if fault.Is(err, fault.NotFound) {
		return errNobody // removed since the session was read
	}
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, Me{Mine{
		Brief: brief(at.Session), Login: u.Login, AuthTime: second(at.AuthTime), AMR: at.AMR,
	}})
	return nil
}

func (s *Surface) signOut(w http.ResponseWriter, r *http.Request, at seat) error {
	_, err := s.Sessions.End(r.Context(), session.EndOne{ID: at.ID, UserID: at.UserID, Actor: at.UserID, Reason: "logout"})
	if err != nil {
		return err
	}
	middleware.ClearSession(w)
	respond.NoContent(w)
	return nil
}

func (s *Surface) list(w http.ResponseWriter, r *http.Request, at seat) error {
	all, err := s.Sessions.List(r.Context(), at.UserID)
	if err != nil {
		return err
	}
	rows := Rows{Items: make([]Listed, 0, len(all))}
	for _, one := range all {
		rows.Items = append(rows.Items, Listed{
			ID: one.ID, Current: one.ID == at.ID, Client: one.ClientID, CreatedAt: second(one.CreatedAt),
			SeenAt: second(one.SeenAt), ExpiresAt: second(one.ExpiresAt), Address: one.Address, Agent: one.Agent,
		})
	}
	respond.JSON(w, http.StatusOK, rows)
	return nil
}

// end ends one of the person's own sessions. Another person's is not there.
func (s *Surface) end(w http.ResponseWriter, r *http.Request, at seat) error {
	id := r.PathValue("id")
	ended, err := s.Sessions.End(r.Context(), session.EndOne{ID: id, UserID: at.UserID, Actor: at.UserID, Reason: "logout"})
	if err != nil {
		return err
	}
	if !ended {
		return fault.New(fault.NotFound, "You have no such session.")
	}
	if id == at.ID {
		middleware.ClearSession(w)
	}
	respond.NoContent(w)
	return nil
}

// passwords is the body of POST /account/password.
type passwords struct {
	Current string `json:"current"`
	New     string `json:"new"`
}

// changePassword ends every session with the change, this one too, and starts
// another one here: who had copied the old cookie is out wherever it was remembered.
func (s *Surface) changePassword(w http.ResponseWriter, r *http.Request, at seat) error {
	var in passwords
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	change := admin.PasswordChange{UserID: at.UserID, Current: in.Current, New: in.New}
	if err := s.Accounts.ChangePassword(r.Context(), change); err != nil {
		return err
	}
	_, secret, err := s.Sessions.Succeed(r.Context(), at.Session, []string{"pwd"}, middleware.Seen(r))
	if err != nil {
		return err
	}
	middleware.SetSession(w, secret)
	respond.NoContent(w)
	return nil
}
