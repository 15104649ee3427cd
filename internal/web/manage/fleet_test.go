package manage_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

func TestVerifiersAreListedWithHowFarTheyAre(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, err := g.hub.Register(t.Context(), feed.Caller{ClientID: "orders-api"}, revocation.Registration{
		Name: "orders-1", Audience: "https://orders.example", Policy: "strict",
	})
	g.must(err)
	c := g.robot("robot", "feed:read")
	a := c.send("GET", "/verifiers", nil).want(t, 200)
	list, _ := a.body["verifiers"].([]any)
	if len(list) != 1 {
		t.Fatalf("got %s", a.Body)
	}
	row := list[0].(map[string]any)
	for name, want := range map[string]any{
		"name": "orders-1", "client": "orders-api", "audience": "https://orders.example", "policy": "strict", "kind": "verifier", "stale_ms": nil,
	} {
		if row[name] != want {
			t.Errorf("%s: got %v, want %v", name, row[name], want)
		}
	}
}

func TestDrillLeavesNobodyBehind(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "sessions:revoke", "users:write", "users:read", "feed:read")
	users := func() int { return len(c.send("GET", "/users", nil).want(t, 200).body["items"].([]any)) }
	before := users()
	a := c.send("POST", "/drills", nil).want(t, 200)
	if a.body["seq"].(float64) < 1 || len(a.body["verifiers"].([]any)) != 0 {
		t.Errorf("got %s", a.Body)
	}
	if after := users(); after != before {
		t.Errorf("%d users, want %d: the throwaway user is still there", after, before)
	}
	g.robot("reader", "feed:read").send("POST", "/drills", nil).want(t, 403)
}

func TestRevocationWaitsAsFarAsItIsAsked(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.person("ada@example.com", "admin")
	c := g.robot("robot", "sessions:revoke")
	for _, level := range []string{"durable", "hubs", "fleet"} {
		a := c.send("POST", "/revocations", map[string]any{"user": "ada@example.com", "ack": level}).want(t, 200)
		if a.text("ack") != level {
			t.Errorf("%s: got %s", level, a.Body)
		}
	}
	c.send("POST", "/revocations", map[string]any{"user": "ada@example.com", "ack": "everybody"}).want(t, 400)
}
