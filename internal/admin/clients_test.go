package admin_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func (h *house) code(t *testing.T, id string) opaque.Digest {
	t.Helper()
	c, _, err := h.store.ClientByID(t.Context(), id)
	must(t, err)
	return c.SecretHash
}

func TestClientSecretIsStoredAsAKeyedCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	secret := h.addClient(t, "shop", nil)
	if got := h.code(t, "shop"); !got.Equal(h.Secrets.MAC("client", "shop", secret)) || got.Equal(opaque.Hash(secret)) {
		t.Error("the stored code is not the keyed one")
	}
	_, shown, err := h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{
		Client: client.Client{ID: "given", Kind: client.Confidential}, Secret: "twenty-characters-ok",
	})
	must(t, err)
	if shown != "" || !h.code(t, "given").Equal(h.Secrets.MAC("client", "given", "twenty-characters-ok")) {
		t.Error("a given secret is shown again, or not the one stored")
	}
	_, shown, err = h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{ID: "app", Kind: client.Public}})
	must(t, err)
	if shown != "" || !h.code(t, "app").IsZero() {
		t.Error("a public client got a secret")
	}
}

func TestUnsoundClientsAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addClient(t, "taken", nil)
	confidential := func(id, secret string) admin.NewClient {
		return admin.NewClient{Client: client.Client{ID: id, Kind: client.Confidential}, Secret: secret}
	}
	naming := func(scopes map[string][]string, serves ...string) admin.NewClient {
		return admin.NewClient{Client: client.Client{ID: "x", Kind: client.Public, APIs: scopes, Serves: serves}}
	}
	tests := []struct {
		name   string
		client admin.NewClient
		code   fault.Code
	}{
		{"taken id", confidential("taken", ""), fault.Conflict},
		{"secret of 19 characters", confidential("x", "nineteen-characters"), fault.Invalid},
		{"secret with a space", confidential("x", "twenty characters, and more"), fault.Invalid},
		{"secret with a line break", confidential("x", "twenty-characters-and\nmore"), fault.Invalid},
		{"endless secret", confidential("x", strings.Repeat("a", 201)), fault.Invalid},
		{"public with a secret", admin.NewClient{Client: client.Client{ID: "x", Kind: client.Public}, Secret: "twenty-characters-ok"}, fault.Invalid},
		{"unknown API", naming(map[string][]string{"https://other.example": {"*"}}), fault.Invalid},
		{"unknown scope", naming(map[string][]string{orders: {"orders:delete"}}), fault.Invalid},
		{"scope of another API", naming(map[string][]string{orders: {"vault:open"}}), fault.Invalid},
		{"serves an unknown API", naming(nil, "https://other.example"), fault.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, events := h.since(t, func() {
				_, _, err := h.AddClient(t.Context(), admin.ByCLI(), tt.client)
				wantCode(t, err, tt.code)
			})
			if len(entries)+len(events) != 0 {
				t.Errorf("wrote %v %v", entries, events)
			}
		})
	}
	_, _, err := h.AddClient(t.Context(), admin.ByCLI(), naming(map[string][]string{orders: {"*"}, issuer + "/api/v1": {"feed:read"}}, orders, api.Management))
	must(t, err)
	c, err := h.Client(t.Context(), "x")
	must(t, err)
	if got := c.APIs[api.Management]; len(got) != 1 || got[0] != "feed:read" {
		t.Errorf("APIs: %v", c.APIs)
	}
}

func TestChangesOfClientsTakeBackWhatTheyEnd(t *testing.T) {
	t.Parallel()
	edit := func(e admin.ClientEdit) func(*testing.T, *house) error {
		return func(t *testing.T, h *house) error {
			_, err := h.EditClient(t.Context(), admin.ByCLI(), "shop", e)
			return err
		}
	}
	tests := []struct {
		name   string
		run    func(*testing.T, *house) error
		reason string // "" for no entry
	}{
		{"disabled", edit(admin.ClientEdit{Disabled: ptr(true)}), "disabled"},
		{"made public", edit(admin.ClientEdit{Kind: ptr(client.Public), Grants: &[]string{}}), "kind"},
		{"removed", func(t *testing.T, h *house) error { return h.RemoveClient(t.Context(), admin.ByCLI(), "shop") }, "removed"},
		{"secret rotated", func(t *testing.T, h *house) error {
			_, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", 0)
			return err
		}, ""},
		{"secret stolen", func(t *testing.T, h *house) error {
			_, err := h.RotateStolenSecret(t.Context(), admin.ByCLI(), "shop")
			return err
		}, "secret"},
		{"renamed", edit(admin.ClientEdit{Name: ptr("Shop")}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.addClient(t, "shop", nil)
			entries, events := h.since(t, func() { must(t, tt.run(t, h)) })
			if tt.reason != "" {
				wantEntry(t, entries, revoke.Client, "shop", tt.reason)
			} else if len(entries) != 0 {
				t.Errorf("revoked %v", entries)
			}
			if len(events) == 0 {
				t.Error("nothing in the audit log")
			}
		})
	}
}

func TestRotatedSecretReplacesTheOldOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := h.addClient(t, "shop", nil)
	next, err := h.RotateClientSecret(t.Context(), admin.ByCLI(), "shop", 0)
	must(t, err)
	if got := h.code(t, "shop"); got.Equal(h.Secrets.MAC("client", "shop", old)) || !got.Equal(h.Secrets.MAC("client", "shop", next)) {
		t.Error("the stored code is not that of the new secret")
	}
	_, _, err = h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{ID: "app", Kind: client.Public}})
	must(t, err)
	_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "app", 0)
	wantCode(t, err, fault.Conflict)
	_, err = h.RotateClientSecret(t.Context(), admin.ByCLI(), "nobody", 0)
	wantCode(t, err, fault.NotFound)
}

func TestClientOfALostAPICanStillBeDisabled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, err := h.AddClient(t.Context(), admin.ByCLI(), admin.NewClient{Client: client.Client{
		ID: "vault-api", Kind: client.Confidential, Serves: []string{vault}, APIs: map[string][]string{vault: {"*"}, orders: {"*"}},
	}})
	must(t, err)
	must(t, h.RemoveAPI(t.Context(), admin.ByCLI(), vault))
	c, err := h.Client(t.Context(), "vault-api")
	must(t, err)
	if len(c.APIs) != 1 || len(c.Serves) != 1 {
		t.Errorf("after the removal: APIs %v, serves %v", c.APIs, c.Serves)
	}
	_, err = h.EditClient(t.Context(), admin.ByCLI(), "vault-api", admin.ClientEdit{Disabled: ptr(true)})
	must(t, err)
}
