package manage

import (
	"context"
	"net/http"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Moves moves sessions to another home while people stay signed in.
type Moves interface {
	// StartMove begins to move all sessions to the home that a URL names; "" is
	// the database.
	StartMove(ctx context.Context, to string) error
	// AbortMove calls a move off that has not moved anything yet.
	AbortMove(ctx context.Context) error
	// SessionMove says where sessions live and how far a move is.
	SessionMove(ctx context.Context) (SessionMove, error)
}

// SessionMove says where sessions live, and how far they are on their way to
// another home. Addresses are without passwords.
type SessionMove struct {
	Stage   string `json:"stage"`        // settled, announced or moving
	From    string `json:"from"`         // where they live; "database" for the database itself
	To      string `json:"to,omitempty"` // where they move to
	Moved   int64  `json:"moved"`        // records moved by the present or the last move
	Left    int64  `json:"left"`         // records still to move
	Problem string `json:"problem,omitempty"`
}

// NewSessionMove says where sessions shall move: a URL such as redis://host:6379,
// or "database".
type NewSessionMove struct {
	To string `json:"to"`
}

// errNotHere keeps an address that the server would connect to, or a folder it
// would write to, out of the hands of whoever has only a token.
var errNotHere = fault.New(fault.Forbidden, "Sessions are moved on the server itself: wafer session move --to URL.")

func (s *Surface) showMove(w http.ResponseWriter, r *http.Request, _ caller) error {
	m, err := s.Moves.SessionMove(r.Context())
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, m)
	return nil
}

func (s *Surface) startMove(w http.ResponseWriter, r *http.Request, c caller) error {
	if !c.local {
		return errNotHere
	}
	var in NewSessionMove
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	if in.To == "" {
		return fault.New(fault.Invalid, "Say where to: a URL such as redis://127.0.0.1:6379, or database.")
	}
	if in.To == Database {
		in.To = ""
	}
	if err := s.Moves.StartMove(r.Context(), in.To); err != nil {
		return err
	}
	return s.showMove(w, r, c)
}

// Database names the database itself as a home of sessions.
const Database = "database"

func (s *Surface) abortMove(w http.ResponseWriter, r *http.Request, c caller) error {
	if !c.local {
		return errNotHere
	}
	if err := s.Moves.AbortMove(r.Context()); err != nil {
		return err
	}
	return s.showMove(w, r, c)
}
