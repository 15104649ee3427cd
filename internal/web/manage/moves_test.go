package manage_test

import (
	"slices"
	"testing"
)

// A token, whatever it may do, never makes the server connect to, or write to, a
// place of its holder's choice.
func TestAdministratorCannotPointTheServerAtAPlace(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	owner := g.cli()
	owner.send("POST", "/session-move", object{"to": "redis://127.0.0.1:6379"}).want(t, 200)
	owner.send("DELETE", "/session-move", nil).want(t, 200)
	admin := g.robot("robot", "*")
	for _, to := range []string{"http://169.254.169.254/", "file:/etc", "redis://10.0.0.1:6379", "database"} {
		admin.send("POST", "/session-move", object{"to": to}).want(t, 403)
	}
	admin.send("DELETE", "/session-move", nil).want(t, 403)
	if want := []string{"to redis://127.0.0.1:6379", "abort"}; !slices.Equal(g.moves.told, want) {
		t.Errorf("told %q, want %q", g.moves.told, want)
	}
	admin.send("GET", "/session-move", nil).want(t, 200)
	owner.send("POST", "/session-move", object{"to": "database"}).want(t, 200)
	if last := g.moves.told[len(g.moves.told)-1]; last != "to " {
		t.Errorf("told %q, want the database", last)
	}
}

func TestSessionMoveRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, in := range []any{object{}, object{"to": ""}, object{"to": 5}, object{"where": "x"}, object{"to": "redis://down"}, "x"} {
		g.cli().send("POST", "/session-move", in).want(t, 400)
	}
	if len(g.moves.told) > 0 {
		t.Errorf("told %q", g.moves.told)
	}
}
