package manage

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func userShape(u account.User) User {
	return User{
		ID: u.ID, Login: u.Login, Name: u.Name, Roles: filled(u.Roles), Disabled: u.Disabled, HasPassword: !u.PasswordChangedAt.IsZero(),
		Profile:   u.Profile,
		CreatedAt: second(u.CreatedAt), UpdatedAt: second(u.UpdatedAt), Version: u.Version,
	}
}

func (s *Surface) listUsers(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	rows, err := s.Users.Users(r.Context(), p.after, p.limit)
	if err != nil {
		return err
	}
	answer(w, p, rows, userShape, func(u User) string { return u.ID })
	return nil
}

func (s *Surface) showUser(w http.ResponseWriter, r *http.Request, _ caller) error {
	u, err := s.Users.User(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, userShape(u))
	return nil
}

func (s *Surface) addUser(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewUser
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	u, err := s.Users.AddUser(r.Context(), c.by(), admin.NewUser{
		Login: in.Login, Name: in.Name, Password: in.Password, PasswordHash: in.PasswordHash, Roles: in.Roles, Disabled: in.Disabled,
		Profile: in.Profile,
	})
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, userShape(u))
	return nil
}

func (s *Surface) editUser(w http.ResponseWriter, r *http.Request, c caller) error {
	var in UserEdit
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	u, err := s.Users.EditUser(r.Context(), c.by(), r.PathValue("id"), admin.UserEdit{
		Login: in.Login, Name: in.Name, Roles: in.Roles, Disabled: in.Disabled, Password: in.Password, PasswordHash: in.PasswordHash,
		Profile: in.Profile,
	})
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, userShape(u))
	return nil
}

func (s *Surface) removeUser(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := s.Users.RemoveUser(r.Context(), c.by(), r.PathValue("id")); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}
