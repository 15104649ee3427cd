package main

import (
	"net/http"
	"net/url"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type roleCommands struct {
	Add    roleAdd    `cmd:"" help:"Add a role."`
	Edit   roleEdit   `cmd:"" help:"Replace the scopes of a role."`
	List   roleList   `cmd:"" help:"List roles."`
	Remove roleRemove `cmd:"" help:"Remove a role, also from its users."`
	Show   roleShow   `cmd:"" help:"Show a role."`
}

type roleAdd struct {
	ID    string   `arg:"" help:"Name of the role."`
	Scope []string `help:"API and its scopes, as ID=SCOPE,SCOPE; may be repeated." sep:"none" placeholder:"ID=SCOPES"`
}

// Help is shown by wafer role add --help.
func (roleAdd) Help() string {
	return "Example:\n  wafer role add clerk --scope https://orders.example=orders:read,orders:write"
}

// Run adds the role.
func (c *roleAdd) Run(e *env) error {
	scopes, err := scopesByAPI(c.Scope)
	if err != nil {
		return err
	}
	return e.withNew(func(m *manager) error {
		var out manage.Role
		if err := m.call(http.MethodPost, "/roles", manage.NewRole{ID: c.ID, Scopes: scopes}, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.say("Role " + out.ID + " added.") })
	})
}

type roleEdit struct {
	ID       string   `arg:"" help:"Name of the role."`
	Scope    []string `help:"API and its scopes instead of the present ones, as ID=SCOPE,SCOPE; may be repeated." sep:"none" xor:"scopes" placeholder:"ID=SCOPES"`
	NoScopes bool     `help:"Take every scope away." xor:"scopes"`
}

// Help is shown by wafer role edit --help.
func (roleEdit) Help() string {
	return "Example:\n  wafer role edit clerk --scope https://orders.example=orders:read"
}

// Run replaces the role's scopes.
func (c *roleEdit) Run(e *env) error {
	if len(c.Scope) == 0 && !c.NoScopes {
		return errNoChange
	}
	scopes, err := scopesByAPI(c.Scope)
	if err != nil {
		return err
	}
	return e.with(func(m *manager) error {
		var out manage.Role
		if err := m.call(http.MethodPatch, "/roles/"+url.PathEscape(c.ID), manage.RoleEdit{Scopes: &scopes}, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.say("Role " + out.ID + " changed. Access tokens of its users are refused; refreshing gives new ones.")
		})
	})
}

type roleList struct{}

// Help is shown by wafer role list --help.
func (roleList) Help() string {
	return "Example:\n  wafer role list"
}

// Run lists the roles.
func (c *roleList) Run(e *env) error {
	return e.with(func(m *manager) error {
		all, err := list[manage.Role](m, "/roles")
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, r := range all {
				rows = append(rows, []string{r.ID, scopesText(r.Scopes)})
			}
			e.table([]string{"ID", "SCOPES"}, rows)
		})
	})
}

type roleRemove struct {
	ID string `arg:"" help:"Name of the role."`
}

// Help is shown by wafer role remove --help.
func (roleRemove) Help() string {
	return "Example:\n  wafer role remove clerk"
}

// Run removes the role.
func (c *roleRemove) Run(e *env) error {
	return e.with(func(m *manager) error {
		if err := m.call(http.MethodDelete, "/roles/"+url.PathEscape(c.ID), nil, nil); err != nil {
			return err
		}
		return e.show(map[string]string{"removed": c.ID}, func() { e.say("Role " + c.ID + " removed, also from its users.") })
	})
}

type roleShow struct {
	ID string `arg:"" help:"Name of the role."`
}

// Help is shown by wafer role show --help.
func (roleShow) Help() string {
	return "Example:\n  wafer role show clerk"
}

// Run shows the role.
func (c *roleShow) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.Role
		if err := m.call(http.MethodGet, "/roles/"+url.PathEscape(c.ID), nil, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.table([]string{"ID", out.ID}, [][]string{{"SCOPES", scopesText(out.Scopes)}}) })
	})
}
