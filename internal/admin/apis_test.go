package admin_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestAddedAPIHasAKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, err := h.AddAPI(t.Context(), admin.ByCLI(), api.API{ID: "https://new.example", Token: api.Token{Alg: jose.ES256}})
	must(t, err)
	if key, ok := h.ring.Signer(a.ID); !ok || key.Algorithm() != jose.ES256 || a.Token.Lifetime != api.DefaultLifetime {
		t.Errorf("signer %t, API %+v", ok, a)
	}
	_, err = h.AddAPI(t.Context(), admin.ByCLI(), a)
	wantCode(t, err, fault.Conflict)
}

// An API with the audience of the management API would mint its tokens.
func TestAPICannotTakeTheAudienceOfTheManagementAPI(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, id := range []string{api.Management, issuer + "/api/v1"} {
		_, err := h.AddAPI(t.Context(), admin.ByCLI(), api.API{ID: id, Scopes: []string{"users:write"}})
		wantCode(t, err, fault.Conflict)
	}
	_, err := h.AddAPI(t.Context(), admin.ByCLI(), api.API{ID: issuer})
	wantCode(t, err, fault.Invalid)
	_, err = h.AddAPI(t.Context(), admin.ByCLI(), api.API{ID: issuer + "/orders"})
	must(t, err)
}

func TestManagementAPIStaysWhatItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, e := range map[string]admin.APIEdit{
		"disabled": {Disabled: ptr(true)},
		"opaque":   {Token: &api.Token{Format: api.Opaque}},
		"HMAC":     {Token: &api.Token{Format: api.JWT, Alg: jose.HS256, Lifetime: time.Minute}},
		"scopes":   {Scopes: &[]string{"users:read"}},
	} {
		_, err := h.EditAPI(t.Context(), admin.ByCLI(), api.Management, e)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{api.Management, issuer + "/api/v1"} {
		wantCode(t, h.RemoveAPI(t.Context(), admin.ByCLI(), id), fault.Conflict)
	}
	a, err := h.EditAPI(t.Context(), admin.ByCLI(), issuer+"/api/v1", admin.APIEdit{Token: &api.Token{Format: api.JWT, Alg: jose.ES256, Lifetime: time.Minute}})
	must(t, err)
	if a.ID != api.Management || a.Token.Lifetime != time.Minute {
		t.Errorf("got %+v", a)
	}
}

func TestChangesOfAPIsTakeBackWhatTheyEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		run    func(*testing.T, *house) error
		reason string
	}{
		{"disabled", func(t *testing.T, h *house) error {
			_, err := h.EditAPI(t.Context(), admin.ByCLI(), vault, admin.APIEdit{Disabled: ptr(true)})
			return err
		}, "disabled"},
		{"removed", func(t *testing.T, h *house) error { return h.RemoveAPI(t.Context(), admin.ByCLI(), vault) }, "removed"},
		{"renamed", func(t *testing.T, h *house) error {
			_, err := h.EditAPI(t.Context(), admin.ByCLI(), vault, admin.APIEdit{Name: ptr("Vault")})
			return err
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			entries, _ := h.since(t, func() { must(t, tt.run(t, h)) })
			if tt.reason != "" {
				wantEntry(t, entries, revoke.API, vault, tt.reason)
			} else if len(entries) != 0 {
				t.Errorf("revoked %v", entries)
			}
		})
	}
}

func TestChangedAlgorithmIsAnnouncedFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.EditAPI(t.Context(), admin.ByCLI(), orders, admin.APIEdit{Token: &api.Token{Format: api.JWT, Alg: jose.ES256, Lifetime: time.Minute}})
	must(t, err)
	if key, _ := h.ring.Signer(orders); key.Algorithm() != jose.EdDSA {
		t.Errorf("signs with %s at once", key.Algorithm())
	}
}

func TestChangesOfRolesReachEveryoneWhoHasThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		run  func(*testing.T, *house) error
	}{
		{"changed", func(t *testing.T, h *house) error {
			_, err := h.EditRole(t.Context(), admin.ByCLI(), "clerk", admin.RoleEdit{Scopes: &map[string][]string{vault: {"*"}}})
			return err
		}},
		{"removed", func(t *testing.T, h *house) error { return h.RemoveRole(t.Context(), admin.ByCLI(), "clerk") }},
		{"its API removed", func(t *testing.T, h *house) error {
			must(t, h.RemoveRole(t.Context(), admin.ByCLI(), "boss"))
			return h.RemoveAPI(t.Context(), admin.ByCLI(), orders)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			ada, bob := h.addUser(t, "ada", "clerk"), h.addUser(t, "bob", "locker")
			entries, _ := h.since(t, func() { must(t, tt.run(t, h)) })
			var told []string
			for _, e := range entries {
				if e.Kind == revoke.Claims {
					told = append(told, e.Key)
				}
			}
			if len(told) != 1 || told[0] != ada.ID || told[0] == bob.ID {
				t.Errorf("told of %v, want %s only", told, ada.ID)
			}
		})
	}
}

func TestBuiltInRoleStaysWhatItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.AddRole(t.Context(), admin.ByCLI(), role.Role{ID: account.AdminRole})
	wantCode(t, err, fault.Conflict)
	_, err = h.EditRole(t.Context(), admin.ByCLI(), account.AdminRole, admin.RoleEdit{Scopes: &map[string][]string{}})
	wantCode(t, err, fault.Conflict)
	wantCode(t, h.RemoveRole(t.Context(), admin.ByCLI(), account.AdminRole), fault.Conflict)
	r, err := h.Role(t.Context(), account.AdminRole)
	must(t, err)
	if !r.Allows(api.Management, "users:write") {
		t.Error("the built-in role lost its scopes")
	}
}

func TestSeedIsRepeatable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, events := h.since(t, func() { must(t, h.Seed(t.Context())) })
	if len(events) != 0 {
		t.Errorf("a second seed wrote %v", events)
	}
	a, err := h.API(t.Context(), api.Management)
	must(t, err)
	a.Scopes = a.Scopes[1:] // as an earlier release left it
	if done, err := h.store.ChangeAPI(t.Context(), a, revoke.Effects{}); err != nil || !done {
		t.Fatal(done, err)
	}
	must(t, h.Seed(t.Context()))
	if a, err = h.API(t.Context(), api.Management); err != nil || len(a.Scopes) != len(api.ManagementScopes) {
		t.Errorf("scopes %v (%v)", a.Scopes, err)
	}
}
