package role_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/role"
)

func TestRoleAllowsItsScopesOfItsAPIOnly(t *testing.T) {
	t.Parallel()
	r := role.Role{ID: "clerk", Scopes: map[string][]string{"a": {"read"}, "b": {role.All}}}
	tests := []struct {
		name, api, scope string
		want             bool
	}{
		{"named", "a", "read", true},
		{"not named", "a", "write", false},
		{"other case", "a", "Read", false},
		{"prefix", "a", "rea", false},
		{"all", "b", "anything", true},
		{"other API", "c", "read", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := r.Allows(tt.api, tt.scope); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestRoleID(t *testing.T) {
	t.Parallel()
	if err := (role.Role{ID: "shop-clerk"}).Check(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "a b", "a\nb", "a\x7f", strings.Repeat("a", 101)} {
		if err := (role.Role{ID: id}).Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}
