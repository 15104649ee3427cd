package session_test

import (
	"slices"
	"testing"

	"github.com/wafer-auth/wafer/internal/session"
)

func TestEndOfASessionNamesItsUserAndClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t, session.DefaultLimits())
	at, _ := h.start(session.Login{ClientID: "web"})
	none, _ := h.start(session.Login{})
	fx, err := h.OthersEnding(t.Context(), h.user, "", h.user, "password")
	if err != nil || len(fx.Revoke) != 2 {
		t.Fatalf("got %d entries, %v, want 2", len(fx.Revoke), err)
	}
	want := map[string][]string{at.ID: {"web"}, none.ID: nil}
	for _, e := range fx.Revoke {
		if clients, found := want[e.Key]; !found || e.Subject != h.user || !slices.Equal(e.Clients, clients) {
			t.Errorf("entry of %s names %q %q, want %q %q", e.Key, e.Subject, e.Clients, h.user, clients)
		}
		delete(want, e.Key)
	}
}
