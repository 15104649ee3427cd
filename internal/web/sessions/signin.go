package sessions

import (
	"errors"
	"net/http"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Credentials is the body of POST /session. With any of the last three the
// caller is a first-party client that wants tokens too.
type Credentials struct {
	Login    string `json:"login"`
	Password string `json:"password"`
	Wanted
}

// Wanted is what a token is wanted for: the body of POST /session/token.
type Wanted struct {
	ClientID string `json:"client_id"`
	API      string `json:"api"`
	Scope    string `json:"scope"` // space-delimited; empty: all that may be given
}

// SignedIn answers POST /session.
type SignedIn struct {
	Session Brief `json:"session"`
	*grant.Tokens
}

// signIn begins a session. Whatever session the browser had before ends with it,
// and the new one has a new id and a new secret, so that an id planted by
// somebody else is worth nothing.
func (s *Surface) signIn(w http.ResponseWriter, r *http.Request) error {
	in, ask, err := readCredentials(r)
	if err != nil {
		return err
	}
	old, err := s.replaced(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	res, err := s.SignIn.Password(ctx, signin.Attempt{
		Login: in.Login, Password: in.Password, Address: middleware.Address(ctx), Device: middleware.Device(r),
	})
	if err != nil {
		return err
	}
	login := session.Login{UserID: res.User.ID, AMR: []string{"pwd"}, Seen: middleware.Seen(r), Replaces: old, Guard: res.Guard}
	out := SignedIn{}
	var started session.Session
	var secret string
	if in.Wanted == (Wanted{}) {
		started, secret, err = s.Sessions.Start(ctx, login)
	} else {
		out.Tokens = &grant.Tokens{}
		started, secret, *out.Tokens, err = s.Grants.SignIn(ctx, res.User, login, ask)
	}
	if err != nil {
		return err
	}
	middleware.SetSession(w, secret)
	middleware.SetDevice(w, res.Device)
	out.Session = brief(started)
	respond.JSON(w, http.StatusCreated, out)
	return nil
}

func readCredentials(r *http.Request) (Credentials, grant.Ask, error) {
	var in Credentials
	if err := middleware.JSON(r, &in); err != nil {
		return in, grant.Ask{}, err
	}
	ask, err := in.ask()
	return in, ask, err
}

func (w Wanted) ask() (grant.Ask, error) {
	scopes, ok := middleware.Scopes(w.Scope)
	if !ok {
		return grant.Ask{}, fault.New(fault.Invalid, "scope is not a space-delimited list of scopes.")
	}
	return grant.Ask{ClientID: w.ClientID, API: w.API, Scopes: scopes}, nil
}

// replaced returns the sid of the live session that came along, "" for none.
func (s *Surface) replaced(r *http.Request) (string, error) {
	secret, err := middleware.Session(r)
	if err != nil || secret == "" {
		return "", err
	}
	old, _, found, err := s.Sessions.Find(r.Context(), secret, middleware.Seen(r))
	if errors.Is(err, session.ErrElsewhere) {
		return "", nil // who has only a copy of the cookie ends nothing
	}
	if err != nil || !found {
		return "", err
	}
	return old.ID, nil
}

// swap gives the holder of the cookie a token for an API.
func (s *Surface) swap(w http.ResponseWriter, r *http.Request, at seat) error {
	var in Wanted
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	if in.ClientID == "" {
		return fault.New(fault.Invalid, "client_id is missing.")
	}
	ask, err := in.ask()
	if err != nil {
		return err
	}
	tokens, err := s.Grants.Swap(r.Context(), at.secret, ask)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, tokens)
	return nil
}
