package account

import (
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
)

// User is one person's account. Version rises with each change; a change that
// was made from an older version is refused.
type User struct {
	ID                string // opaque.ID(opaque.UserID, ...): the sub
	Login             string // as the person wrote it, for showing
	Canonical         string // limit.Canonical(Login): unique, the key of look-ups and counters
	Name              string // for showing; may be empty
	Profile           Profile
	PasswordHash      string // PHC string or an imported form; "" means no password
	PasswordChangedAt time.Time
	Roles             []string // role ids, sorted, no duplicates
	Disabled          bool
	CreatedAt         time.Time
	UpdatedAt         time.Time
	Version           int64 // 1 when added
}

// Clone returns a copy that shares nothing with u.
func (u User) Clone() User {
	u.Profile, u.Roles = u.Profile.Clone(), slices.Clone(u.Roles)
	return u
}

// AdminRole is the id of the built-in role that holds every management scope.
const AdminRole = "admin"

// HasRole reports whether the user has the role.
func (u User) HasRole(id string) bool {
	for _, r := range u.Roles {
		if r == id {
			return true
		}
	}
	return false
}

// CheckName refuses a display name that is too long or holds control characters.
func CheckName(name string) error {
	if len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fault.New(fault.Invalid, "The name is longer than 200 bytes or holds control characters.")
	}
	return nil
}
