package account_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/fault"
)

func TestHasRoleIsExact(t *testing.T) {
	t.Parallel()
	u := account.User{Roles: []string{"admin", "clerk"}}
	if !u.HasRole(account.AdminRole) || u.HasRole("Admin") || u.HasRole("adm") || u.HasRole("") {
		t.Error("a role is found that is not there, or not found that is")
	}
}

func TestNamesThatForgeLogLinesAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Ada Lovelace", "Ada “the first”", strings.Repeat("a", 200)} {
		if err := account.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"Ada\r\nroot", "Ada\x1b[2J", "Ada\x00", "Ada\x7f", strings.Repeat("a", 201)} {
		if err := account.CheckName(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
