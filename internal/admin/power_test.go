package admin_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/verify/jose"
)

// ADMIN-004: whoever manages users must not become more than that.
func TestVerticalEscalationByUserAdminIsRefused(t *testing.T) {
	t.Parallel()
	edit := func(id string, e admin.UserEdit) func(*testing.T, *house, admin.By) error {
		return func(t *testing.T, h *house, by admin.By) error {
			if id == "" {
				id = by.Actor
			}
			_, err := h.EditUser(t.Context(), by, id, e)
			return err
		}
	}
	add := func(roles ...string) func(*testing.T, *house, admin.By) error {
		return func(t *testing.T, h *house, by admin.By) error {
			_, err := h.AddUser(t.Context(), by, admin.NewUser{Login: "new@example.com", Password: good, Roles: roles})
			return err
		}
	}
	attacks := []struct {
		name string
		run  func(*testing.T, *house, admin.By) error
	}{
		{"adds an administrator", add(account.AdminRole)},
		{"adds a user with scopes it has not", add("boss")},
		{"gives itself the admin role", edit("", admin.UserEdit{Roles: &[]string{"helpdesk", account.AdminRole}})},
		{"gives itself a role", edit("", admin.UserEdit{Roles: &[]string{"helpdesk", "boss"}})},
		{"gives another a management role", edit("ada", admin.UserEdit{Roles: &[]string{"clerk", "locker"}})},
		{"resets an administrator's password", edit("root", admin.UserEdit{Password: ptr(better)})},
		{"takes over an administrator's login", edit("root", admin.UserEdit{Login: ptr("mine@example.com")})},
		{"disables an administrator", edit("root", admin.UserEdit{Disabled: ptr(true)})},
		{"strips an administrator", edit("root", admin.UserEdit{Roles: &[]string{}})},
		{"resets the password of somebody with other management scopes", edit("keys", admin.UserEdit{Password: ptr(better)})},
		{"removes an administrator", func(t *testing.T, h *house, by admin.By) error { return h.RemoveUser(t.Context(), by, "root") }},
		{"revokes a signing key", func(t *testing.T, h *house, by admin.By) error {
			key, _ := h.ring.Signer(orders)
			_, err := h.Revoke(t.Context(), by, admin.Revocation{Key: key.ID()})
			return err
		}},
	}
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.addUser(t, "root", account.AdminRole)
			h.addUser(t, "second", account.AdminRole)
			h.addUser(t, "keys", "locker")
			h.addUser(t, "ada", "clerk")
			by := h.delegate(t)
			if _, err := h.EditUser(t.Context(), by, "ada", admin.UserEdit{Name: ptr("Ada"), Password: ptr(better)}); err != nil {
				t.Fatalf("what it may do: %v", err)
			}
			entries, events := h.since(t, func() { wantCode(t, tt.run(t, h, by), fault.Forbidden) })
			refusedOnly(t, entries, events)
			if _, err := h.AddUser(t.Context(), by, admin.NewUser{Login: "bob", Password: good, Roles: []string{"clerk"}}); err != nil {
				t.Errorf("what it may do, afterwards: %v", err)
			}
			h.addUser(t, "third", account.AdminRole)
			if err := tt.run(t, h, admin.By{Actor: by.Actor, Scopes: api.ManagementScopes}); err != nil {
				t.Errorf("with every management scope: %v", err)
			}
		})
	}
}

func TestVerticalEscalationByWayOfAClientOrRoleIsRefused(t *testing.T) {
	t.Parallel()
	everything := map[string][]string{api.Management: {role.All}}
	attacks := []struct {
		name string
		run  func(*testing.T, *house, admin.By) error
	}{
		{"adds a client with all scopes", func(t *testing.T, h *house, by admin.By) error {
			_, _, err := h.AddClient(t.Context(), by, admin.NewClient{Client: client.Client{ID: "mine", Kind: client.Confidential, APIs: everything}})
			return err
		}},
		{"names the management API by its audience", func(t *testing.T, h *house, by admin.By) error {
			_, _, err := h.AddClient(t.Context(), by, admin.NewClient{Client: client.Client{
				ID: "mine", Kind: client.Confidential, APIs: map[string][]string{issuer + "/api/v1": {"users:write"}},
			}})
			return err
		}},
		{"gives a client more", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.EditClient(t.Context(), by, "weak", admin.ClientEdit{APIs: &everything})
			return err
		}},
		{"learns the secret of a stronger client", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.RotateClientSecret(t.Context(), by, "strong", 0)
			return err
		}},
		{"sets the secret of a stronger client", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.EditClient(t.Context(), by, "strong", admin.ClientEdit{Secret: ptr("a secret of my own choice")})
			return err
		}},
		{"removes a stronger client", func(t *testing.T, h *house, by admin.By) error { return h.RemoveClient(t.Context(), by, "strong") }},
		{"adds a role with all scopes", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.AddRole(t.Context(), by, role.Role{ID: "mine", Scopes: everything})
			return err
		}},
		{"gives a role more", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.EditRole(t.Context(), by, "clerk", admin.RoleEdit{Scopes: &everything})
			return err
		}},
		{"weakens a stronger role", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.EditRole(t.Context(), by, "helpdesk", admin.RoleEdit{Scopes: &map[string][]string{}})
			return err
		}},
		{"removes a stronger role", func(t *testing.T, h *house, by admin.By) error { return h.RemoveRole(t.Context(), by, "helpdesk") }},
		{"weakens the tokens of the management API", func(t *testing.T, h *house, by admin.By) error {
			_, err := h.EditAPI(t.Context(), by, api.Management, admin.APIEdit{Token: &api.Token{Alg: jose.ES256}})
			return err
		}},
	}
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.addClient(t, "strong", map[string][]string{api.Management: {"users:write"}})
			h.addClient(t, "weak", map[string][]string{orders: {"orders:read"}})
			by := admin.By{Actor: "weak", Scopes: []string{"clients:write", "roles:write", "apis:write"}}
			if _, err := h.RotateClientSecret(t.Context(), by, "weak", 0); err != nil {
				t.Fatalf("what it may do: %v", err)
			}
			entries, events := h.since(t, func() {
				err := tt.run(t, h, by)
				if err == nil {
					t.Fatal("let through")
				}
				wantCode(t, err, fault.Forbidden)
			})
			refusedOnly(t, entries, events)
			if _, err := h.EditRole(t.Context(), by, "clerk", admin.RoleEdit{Scopes: &map[string][]string{vault: {"vault:open"}}}); err != nil {
				t.Errorf("what it may do, afterwards: %v", err)
			}
		})
	}
}

func TestCredentialWithFewerScopesThanItsOwnerGivesNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	root := h.addUser(t, "root", account.AdminRole, "boss")
	narrow := admin.By{Actor: root.ID, Scopes: []string{"users:write"}}
	_, err := h.AddUser(t.Context(), narrow, admin.NewUser{Login: "a", Password: good, Roles: []string{"helpdesk"}})
	wantCode(t, err, fault.Forbidden)
	_, err = h.AddUser(t.Context(), narrow, admin.NewUser{Login: "a", Password: good, Roles: []string{"boss"}})
	must(t, err)
}

// ADMIN-005: hashes never leave.
func TestSecretsAreNotReadable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada")
	secret := h.addClient(t, "shop", nil)
	if len(secret) != 43 {
		t.Errorf("made a secret of %d characters", len(secret))
	}
	edited, err := h.EditUser(t.Context(), admin.ByCLI(), "ada", admin.UserEdit{Password: ptr(better)})
	must(t, err)
	found, err := h.User(t.Context(), "ada")
	must(t, err)
	users, err := h.Users(t.Context(), "", 10)
	must(t, err)
	for _, got := range append(users, u, edited, found) {
		if got.PasswordHash != "" {
			t.Errorf("user %s comes with the password hash", got.Login)
		}
	}
	c, err := h.Client(t.Context(), "shop")
	must(t, err)
	clients, err := h.Clients(t.Context(), "", 10)
	must(t, err)
	for _, got := range append(clients, c) {
		if !got.SecretHash.IsZero() {
			t.Errorf("client %s comes with the code of its secret", got.ID)
		}
	}
	for _, e := range h.events(t) {
		for _, hidden := range []string{good, better, secret, "$argon2"} {
			if contains(e.Detail, hidden) || contains(e.Target, hidden) {
				t.Errorf("the audit log holds a secret: %+v", e)
			}
		}
	}
}
