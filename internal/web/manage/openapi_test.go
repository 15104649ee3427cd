package manage_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/manage"
)

// Every body that is read or answered is described, and none of a row that is not there.
func TestOpenAPIDescribesEveryBody(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	paths, _ := g.robot("robot", "users:read").send("GET", "/openapi.json", nil).want(t, 200).body["paths"].(object)
	without := map[string]bool{ // no body to read
		"POST /apis/{id}/secret": true, "POST /drills": true,
	}
	seen := 0
	for path, methods := range paths {
		for method, row := range methods.(object) {
			name := strings.ToUpper(method) + " " + path
			reads := (method == "post" || method == "patch") && !without[name]
			if got := row.(object)["requestBody"] != nil; got != reads {
				t.Errorf("%s: describes what it reads: %t, want %t", name, got, reads)
			}
			done := row.(object)["responses"].(object)["2XX"].(object)
			answers := method != "delete" && path != "/openapi.json"
			if got := done["content"] != nil; got != answers {
				t.Errorf("%s: describes what it answers: %t, want %t", name, got, answers)
			}
			if done["content"] != nil {
				seen++
			}
		}
	}
	if seen != manage.Bodies {
		t.Errorf("%d answers are described, %d rows have one: a body belongs to no row", seen, manage.Bodies)
	}
	member := func(name string, row any) object {
		schema := row.(object)["requestBody"].(object)["content"].(object)["application/json"].(object)["schema"].(object)
		return schema["properties"].(object)[name].(object)["properties"].(object)
	}
	for _, tt := range []struct {
		got object
		of  reflect.Type
	}{
		{member("oauth", paths["/clients"].(object)["post"]), reflect.TypeFor[client.OAuth]()},
		{member("oauth", paths["/clients/{id}"].(object)["patch"]), reflect.TypeFor[client.OAuth]()},
		{member("profile", paths["/users/{id}"].(object)["patch"]), reflect.TypeFor[account.Profile]()},
	} {
		if len(tt.got) != tt.of.NumField() {
			t.Errorf("%d of %d members of %s are described", len(tt.got), tt.of.NumField(), tt.of)
		}
	}
	if age := member("oauth", paths["/clients"].(object)["post"])["default_max_age"].(object); age["type"] != "integer" {
		t.Errorf("default_max_age: %v", age)
	}
}
