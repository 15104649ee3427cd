package role

import (
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
)

// All, as a scope in a role or a client, stands for every scope of the API.
const All = "*"

// Role is a named set of scopes.
type Role struct {
	ID        string
	Scopes    map[string][]string // API id -> scopes
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 // 1 when added
}

// Allows reports whether the role gives the scope of the API.
func (r Role) Allows(apiID, scope string) bool {
	s := r.Scopes[apiID]
	return slices.Contains(s, scope) || slices.Contains(s, All)
}

// Check returns nil, or a fault naming what is wrong.
func (r Role) Check() error {
	if r.ID == "" || len(r.ID) > 100 {
		return fault.New(fault.Invalid, "A role id has 1 to 100 characters.")
	}
	for _, c := range r.ID {
		if c <= 0x20 || c == 0x7f {
			return fault.New(fault.Invalid, "A role id holds no spaces or control characters.")
		}
	}
	return nil
}
