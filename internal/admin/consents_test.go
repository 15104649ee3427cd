package admin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func (h *house) give(t *testing.T, c consent.Consent) {
	t.Helper()
	c.GivenAt, c.UpdatedAt = h.clock.now(), h.clock.now()
	given, err := h.store.GiveConsent(t.Context(), c, revoke.Effects{})
	must(t, err)
	if !given {
		t.Fatal("nothing was given")
	}
}

func TestAccessIsListedByApplication(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada, bob := h.addUser(t, "ada@example.com"), h.addUser(t, "bob@example.com")
	h.addClient(t, "shop", nil)
	h.addClient(t, "planner", nil)
	first := h.clock.now()
	h.give(t, consent.Consent{UserID: ada.ID, ClientID: "shop", APIID: orders, Scopes: []string{"openid", "orders:read", "email"}})
	h.clock.forward(time.Hour)
	h.give(t, consent.Consent{UserID: ada.ID, ClientID: "shop", APIID: api.Userinfo, Scopes: []string{"openid", "profile"}})
	h.give(t, consent.Consent{UserID: ada.ID, ClientID: "planner", APIID: vault, Scopes: []string{"vault:open"}})
	h.give(t, consent.Consent{UserID: bob.ID, ClientID: "planner", APIID: vault, Scopes: []string{"vault:open"}})
	all, err := h.AccessOf(t.Context(), ada.ID)
	must(t, err)
	if len(all) != 2 || all[0].Client.ID != "planner" || all[1].Client.ID != "shop" {
		t.Fatalf("got %+v", all)
	}
	shop := all[1]
	if !slices.Equal(shop.About, []string{"email", "openid", "profile"}) || len(shop.APIs) != 1 || shop.APIs[0].Name != orders ||
		!slices.Equal(shop.APIs[0].Scopes, []string{"orders:read"}) || !shop.Since.Equal(first) {
		t.Errorf("the shop may %+v", shop)
	}
	if len(all[0].About) != 0 || len(all[0].APIs) != 1 {
		t.Errorf("the planner may %+v", all[0])
	}
}

func TestWithdrawnAccessEndsGrantsAndOwnSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.addUser(t, "ada@example.com")
	h.addClient(t, "tv", nil)
	h.addClient(t, "other", nil)
	here := h.start(t, ada.ID)
	begin := func(clientID string) string {
		s, _, err := h.Sessions.Start(t.Context(), session.Login{UserID: ada.ID, ClientID: clientID})
		must(t, err)
		return s.ID
	}
	device, others := begin("tv"), begin("other")
	h.give(t, consent.Consent{UserID: ada.ID, ClientID: "tv", APIID: orders, Scopes: []string{"orders:read"}})
	h.give(t, consent.Consent{UserID: ada.ID, ClientID: "other", APIID: orders, Scopes: []string{"orders:read"}})
	entries, events := h.since(t, func() {
		must(t, h.WithdrawAccess(t.Context(), admin.Withdrawal{UserID: ada.ID, ClientID: "tv", SessionID: here}))
	})
	wantEntry(t, entries, revoke.Session, device, "consent")
	if len(events) != 1 || events[0].Action != "consent.withdraw" || events[0].Actor != ada.ID || events[0].Client != "tv" || events[0].Session != here {
		t.Errorf("audit log: %v", events)
	}
	live, err := h.Sessions.List(t.Context(), ada.ID)
	must(t, err)
	if len(live) != 2 || slices.ContainsFunc(live, func(s session.Session) bool { return s.ID != here && s.ID != others }) {
		t.Errorf("sessions are %+v", live)
	}
	if all, err := h.AccessOf(t.Context(), ada.ID); err != nil || len(all) != 1 || all[0].Client.ID != "other" {
		t.Errorf("left is %+v, %v", all, err)
	}
	entries, events = h.since(t, func() {
		must(t, h.WithdrawAccess(t.Context(), admin.Withdrawal{UserID: ada.ID, ClientID: "tv", SessionID: here}))
	})
	if len(entries) != 0 || len(events) != 0 {
		t.Errorf("a second time: %v %v", entries, events)
	}
}
