package main

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/web/manage"
)

type userCommands struct {
	Add      userAdd      `cmd:"" help:"Add a user."`
	Edit     userEdit     `cmd:"" help:"Change a user."`
	List     userList     `cmd:"" help:"List users."`
	Password userPassword `cmd:"" help:"Set a user's password; ends all sessions of the user."`
	Remove   userRemove   `cmd:"" help:"Remove a user and end all sessions."`
	Show     userShow     `cmd:"" help:"Show a user."`
}

type userAdd struct {
	Login         string   `arg:"" help:"What the person types to sign in, such as an e-mail address."`
	Name          string   `help:"Name for showing."`
	Role          []string `help:"Role; may be repeated." placeholder:"ID"`
	PasswordStdin bool     `help:"Read the password from standard input, one line."`
	PasswordHash  string   `help:"Imported hash: Argon2, bcrypt, PBKDF2 or scrypt." placeholder:"HASH"`
	Disabled      bool     `help:"Add the account without letting it in."`
	Profile       []string `help:"What applications may be told of the person, such as email=ada@example.com; may be repeated." sep:"none" placeholder:"CLAIM=VALUE"`
}

// Help is shown by wafer user add --help.
func (userAdd) Help() string {
	return "Examples:\n  wafer user add ada@example.com --role admin\n  echo 'a long passphrase' | wafer user add bob@example.com --password-stdin --profile given_name=Bob"
}

// Run adds the user.
func (c *userAdd) Run(e *env) error {
	in := manage.NewUser{Login: c.Login, Name: c.Name, Roles: c.Role, PasswordHash: c.PasswordHash, Disabled: c.Disabled}
	claims, err := members[account.Profile](c.Profile)
	if err != nil {
		return fmt.Errorf("--profile %w", err)
	}
	in.Profile = object(claims)
	if in.PasswordHash == "" {
		if in.Password, err = e.newPassword(c.PasswordStdin); err != nil {
			return err
		}
	}
	return e.withNew(func(m *manager) error {
		var out manage.User
		if err := m.call(http.MethodPost, "/users", in, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.say(fmt.Sprintf("User %s added as %s.", out.Login, out.ID)) })
	})
}

type userEdit struct {
	User    string   `arg:"" help:"Id or login."`
	Login   *string  `help:"New login."`
	Name    *string  `help:"New name."`
	Role    []string `help:"Roles instead of the present ones; may be repeated." xor:"roles" placeholder:"ID"`
	NoRoles bool     `help:"Take every role away." xor:"roles"`
	Profile []string `help:"What applications may be told of the person; an empty value takes it away; may be repeated." sep:"none" placeholder:"CLAIM=VALUE"`
	Disable bool     `help:"Let the account in no more; ends all sessions." xor:"state"`
	Enable  bool     `help:"Let the account in again." xor:"state"`
}

// Help is shown by wafer user edit --help.
func (userEdit) Help() string {
	return "Examples:\n  wafer user edit ada@example.com --role clerk --role admin\n  wafer user edit ada@example.com --profile email=ada@example.com --profile email_verified=true\n  wafer user edit bob@example.com --disable"
}

// Run changes the user.
func (c *userEdit) Run(e *env) error {
	in := manage.UserEdit{Login: c.Login, Name: c.Name, Roles: given(c.Role), Disabled: state(c.Disable, c.Enable)}
	claims, err := members[account.Profile](c.Profile)
	if err != nil {
		return fmt.Errorf("--profile %w", err)
	}
	in.Profile = object(claims)
	if c.NoRoles {
		in.Roles = &[]string{}
	}
	if reflect.ValueOf(in).IsZero() {
		return errNoChange
	}
	return e.with(func(m *manager) error {
		u, err := m.user(c.User)
		if err != nil {
			return err
		}
		var out manage.User
		if err := m.call(http.MethodPatch, "/users/"+url.PathEscape(u.ID), in, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.say("User " + out.Login + " changed.") })
	})
}

// state turns a pair of flags into an optional "disabled".
func state(disable, enable bool) *bool {
	if !disable && !enable {
		return nil
	}
	return &disable
}

// user finds a user by id or login.
func (m *manager) user(idOrLogin string) (manage.User, error) {
	var u manage.User
	err := m.call(http.MethodGet, "/users/"+url.PathEscape(idOrLogin), nil, &u)
	return u, err
}

type userList struct{}

// Help is shown by wafer user list --help.
func (userList) Help() string {
	return "Example:\n  wafer --json user list"
}

// Run lists the users.
func (c *userList) Run(e *env) error {
	return e.with(func(m *manager) error {
		all, err := list[manage.User](m, "/users")
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, u := range all {
				rows = append(rows, []string{u.ID, u.Login, orDash(strings.Join(u.Roles, ",")), yesNo(u.Disabled)})
			}
			e.table([]string{"ID", "LOGIN", "ROLES", "DISABLED"}, rows)
		})
	})
}

type userPassword struct {
	User          string `arg:"" help:"Id or login."`
	PasswordStdin bool   `help:"Read the password from standard input, one line."`
}

// Help is shown by wafer user password --help.
func (userPassword) Help() string {
	return "Example:\n  wafer user password ada@example.com"
}

// Run sets the password.
func (c *userPassword) Run(e *env) error {
	password, err := e.newPassword(c.PasswordStdin)
	if err != nil {
		return err
	}
	return e.with(func(m *manager) error {
		u, err := m.user(c.User)
		if err != nil {
			return err
		}
		if err := m.call(http.MethodPatch, "/users/"+url.PathEscape(u.ID), manage.UserEdit{Password: &password}, &u); err != nil {
			return err
		}
		return e.show(u, func() { e.say("Password of " + u.Login + " set. All sessions of the user have ended.") })
	})
}

type userRemove struct {
	User string `arg:"" help:"Id or login."`
}

// Help is shown by wafer user remove --help.
func (userRemove) Help() string {
	return "Example:\n  wafer user remove bob@example.com"
}

// Run removes the user.
func (c *userRemove) Run(e *env) error {
	return e.with(func(m *manager) error {
		u, err := m.user(c.User)
		if err != nil {
			return err
		}
		if err := m.call(http.MethodDelete, "/users/"+url.PathEscape(u.ID), nil, nil); err != nil {
			return err
		}
		return e.show(u, func() { e.say("User " + u.Login + " removed. All sessions of the user have ended.") })
	})
}

type userShow struct {
	User string `arg:"" help:"Id or login."`
}

// Help is shown by wafer user show --help.
func (userShow) Help() string {
	return "Example:\n  wafer user show ada@example.com"
}

// Run shows the user.
func (c *userShow) Run(e *env) error {
	return e.with(func(m *manager) error {
		u, err := m.user(c.User)
		if err != nil {
			return err
		}
		return e.show(u, func() {
			e.table([]string{"ID", u.ID}, append([][]string{
				{"LOGIN", u.Login}, {"NAME", orDash(u.Name)}, {"ROLES", orDash(strings.Join(u.Roles, ","))}, {"DISABLED", yesNo(u.Disabled)},
				{"PASSWORD", yesNo(u.HasPassword)}, {"ADDED", when(u.CreatedAt)}, {"CHANGED", when(u.UpdatedAt)},
			}, memberRows("profile.", u.Profile)...))
		})
	})
}
