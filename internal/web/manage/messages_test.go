package manage_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/outbox"
)

func TestMessagesAreListedUntilTheyAreDelivered(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "audit:read")
	if a := c.send("GET", "/messages", nil).want(t, 200); len(a.items()) != 0 {
		t.Fatalf("at first: %s", a.Body)
	}
	first, second := outbox.NewMessage("logout", "shop", []byte("{}"), g.clock()), outbox.NewMessage("ssf", "str_1", []byte("{}"), g.clock())
	if _, err := g.store.AdvanceTopic(t.Context(), outbox.Advance{Topic: "logout", From: outbox.Unread, To: 0, Add: []outbox.Message{first, second}}); err != nil {
		t.Fatal(err)
	}
	held, err := g.store.ClaimMessages(t.Context(), outbox.Claim{Topic: "logout", To: "shop", Holder: "n", Now: g.clock(), Until: g.clock().Add(1), Limit: 1})
	if err != nil || len(held) != 1 {
		t.Fatalf("claimed %d, %v", len(held), err)
	}
	if _, err := g.store.SettleMessages(t.Context(), []outbox.Settlement{{ID: first.ID, To: "shop", Holder: "n", Verdict: outbox.Giving, Attempts: 3, Problem: "status 400", At: g.clock()}}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{"?state=waiting": second.ID, "?state=given%20up": first.ID, "?to=shop": first.ID, "?to=str_1": second.ID} {
		a := c.send("GET", "/messages"+query, nil).want(t, 200)
		if items := a.items(); len(items) != 1 || items[0]["id"] != want {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	gone := c.send("GET", "/messages?state=given%20up", nil).want(t, 200).items()[0]
	if gone["problem"] != "status 400" || gone["attempts"] != 3.0 || gone["due_at"] != nil {
		t.Errorf("given up: %v", gone)
	}
	c.send("GET", "/messages?state=lost", nil).want(t, 400)
	g.robot("other", "users:read").send("GET", "/messages", nil).want(t, 403)
}
