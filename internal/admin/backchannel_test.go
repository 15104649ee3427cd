package admin_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/admin"
)

func TestLogoutAddressesAreDeclaredAndChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	apply := func(text string) (admin.Report, error) {
		t.Helper()
		d, _, err := admin.ParseDeclared([]byte(text), "")
		must(t, err)
		return h.Apply(t.Context(), admin.ByCLI(), d)
	}
	state := func(uri string, session bool) {
		t.Helper()
		c, err := h.Client(t.Context(), "shop")
		must(t, err)
		if c.BackchannelLogoutURI != uri || c.BackchannelLogoutSession != session {
			t.Errorf("got %q, %t, want %q, %t", c.BackchannelLogoutURI, c.BackchannelLogoutSession, uri, session)
		}
	}
	_, err := apply("clients: [{id: shop, kind: public, backchannel_logout_uri: https://shop.example/logout, backchannel_logout_session_required: true}]")
	must(t, err)
	state("https://shop.example/logout", true)
	again, err := apply("clients: [{id: shop, backchannel_logout_uri: https://shop.example/logout}]")
	must(t, err)
	if len(again.Changes) != 0 {
		t.Errorf("applied again: %v", again.Changes)
	}
	if _, err := apply("clients: [{id: shop, backchannel_logout_uri: http://shop.example/logout}]"); err == nil {
		t.Error("an address without TLS was declared")
	}
	state("https://shop.example/logout", true)
	changed, err := apply("clients: [{id: shop, backchannel_logout_uri: '', backchannel_logout_session_required: false}]")
	must(t, err)
	if len(changed.Changes) != 2 {
		t.Errorf("changes: %v", changed.Changes)
	}
	state("", false)
	uri, required := "https://shop.example/out", true
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "shop", admin.ClientEdit{BackchannelLogoutURI: &uri, BackchannelLogoutSession: &required})
	must(t, err)
	state(uri, true)
}
