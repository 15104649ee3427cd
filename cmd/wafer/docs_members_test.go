package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
)

// Whatever can be registered stands in the document of the set-up.
func TestEveryMemberIsDocumented(t *testing.T) {
	t.Parallel()
	document := strings.Join(lines(t, "../../docs/setup.md"), "\n")
	_, oauth, ok := strings.Cut(document, "### OAuth of a client")
	oauth, rest, ok2 := strings.Cut(oauth, "## `roles`")
	_, profile, ok3 := strings.Cut(rest, "### Profile of a user")
	if !ok || !ok2 || !ok3 {
		t.Fatal("docs/setup.md lacks one of three headings")
	}
	for _, part := range []struct {
		text string
		of   reflect.Type
	}{{oauth, reflect.TypeFor[client.OAuth]()}, {profile, reflect.TypeFor[account.Profile]()}} {
		for i := range part.of.NumField() {
			name, _, _ := strings.Cut(part.of.Field(i).Tag.Get("json"), ",")
			if name == "" || !strings.Contains(part.text, "`"+name+"`") {
				t.Errorf("docs/setup.md does not list %q", name)
			}
		}
	}
	for _, grant := range client.GrantTypes {
		if !strings.Contains(document, "`"+grant+"`") {
			t.Errorf("docs/setup.md does not list the grant type %s", grant)
		}
	}
}
