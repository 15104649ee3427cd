package revoke_test

import (
	"slices"
	"testing"

	"github.com/wafer-auth/wafer/internal/revoke"
)

func TestEntryIsNamedByCallerAndStore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		entry   revoke.Entry
		subject string
		clients []string
		want    string
		all     []string
	}{
		{"nobody knows", revoke.Entry{}, "", nil, "", nil},
		{"nobody knows, in other words", revoke.Entry{Clients: []string{}}, "", []string{""}, "", nil},
		{"the store alone", revoke.Entry{}, "ada", []string{"web", "app", "web", ""}, "ada", []string{"app", "web"}},
		{"the caller alone", revoke.Entry{Subject: "ada", Clients: []string{"web", "app", "web"}}, "", nil, "ada", []string{"app", "web"}},
		{"both", revoke.Entry{Subject: "ada", Clients: []string{"web"}}, "bob", []string{"app", "web"}, "ada", []string{"app", "web"}},
	} {
		given := slices.Clone(c.entry.Clients)
		got := c.entry.Named(c.subject, c.clients...)
		if got.Subject != c.want || !slices.Equal(got.Clients, c.all) || (got.Clients == nil) != (c.all == nil) {
			t.Errorf("%s: got %q %q, want %q %q", c.name, got.Subject, got.Clients, c.want, c.all)
		}
		if !slices.Equal(c.entry.Clients, given) {
			t.Errorf("%s: the caller's list became %q", c.name, c.entry.Clients)
		}
	}
}
