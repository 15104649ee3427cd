package manage

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func roleShape(r role.Role) Role {
	return Role{ID: r.ID, Scopes: filledMap(r.Scopes), CreatedAt: second(r.CreatedAt), UpdatedAt: second(r.UpdatedAt), Version: r.Version}
}

func (s *Surface) listRoles(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	rows, err := s.Roles.Roles(r.Context(), p.after, p.limit)
	if err != nil {
		return err
	}
	answer(w, p, rows, roleShape, func(r Role) string { return r.ID })
	return nil
}

func (s *Surface) showRole(w http.ResponseWriter, r *http.Request, _ caller) error {
	found, err := s.Roles.Role(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, roleShape(found))
	return nil
}

func (s *Surface) addRole(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewRole
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	added, err := s.Roles.AddRole(r.Context(), c.by(), role.Role{ID: in.ID, Scopes: in.Scopes})
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, roleShape(added))
	return nil
}

func (s *Surface) editRole(w http.ResponseWriter, r *http.Request, c caller) error {
	var in RoleEdit
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	changed, err := s.Roles.EditRole(r.Context(), c.by(), r.PathValue("id"), admin.RoleEdit{Scopes: in.Scopes})
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, roleShape(changed))
	return nil
}

func (s *Surface) removeRole(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := s.Roles.RemoveRole(r.Context(), c.by(), r.PathValue("id")); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}
