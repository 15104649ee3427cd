package admin_test

import (
	"context"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestRevokeNamesOneThing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada@example.com")
	sid := h.start(t, u.ID)
	h.addClient(t, "shop", nil)
	jti := opaque.ID(opaque.TokenID, h.clock.now())
	key, _ := h.ring.Signer(orders)
	token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, []byte(`{"jti":"of-a-jwt"}`))
	must(t, err)
	h.Tokens = func(_ context.Context, d opaque.Digest) (string, bool, error) {
		return "of-an-opaque-token", d.Equal(opaque.Hash("an-opaque-token")), nil
	}
	tests := []struct {
		name string
		what admin.Revocation
		kind revoke.Kind
		key  string
	}{
		{"user by login", admin.Revocation{User: "Ada@example.com"}, revoke.User, u.ID},
		{"user by id", admin.Revocation{User: u.ID}, revoke.User, u.ID},
		{"session", admin.Revocation{Session: sid}, revoke.Session, sid},
		{"client", admin.Revocation{Client: "shop"}, revoke.Client, "shop"},
		{"API", admin.Revocation{API: orders}, revoke.API, orders},
		{"token by jti", admin.Revocation{Token: jti}, revoke.Token, jti},
		{"JWT", admin.Revocation{Token: token}, revoke.Token, "of-a-jwt"},
		{"opaque token", admin.Revocation{Token: "an-opaque-token"}, revoke.Token, "of-an-opaque-token"},
		{"key", admin.Revocation{Key: key.ID()}, revoke.Key, key.ID()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, events := h.since(t, func() {
				seq, err := h.Revoke(t.Context(), admin.ByCLI(), tt.what)
				must(t, err)
				if head, _ := h.store.Head(t.Context()); seq != head {
					t.Errorf("position %d, head %d", seq, head)
				}
			})
			if len(entries) != 1 || entries[0].Kind != tt.kind || entries[0].Key != tt.key {
				t.Errorf("revoked %v", entries)
			}
			if len(events) == 0 {
				t.Error("nothing in the audit log")
			}
		})
	}
	if next, ok := h.ring.Signer(orders); !ok || next.ID() == key.ID() {
		t.Error("the revoked key still signs")
	}
}

func TestRevokeOfNothingOrOfManyIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addUser(t, "ada")
	forger, err := jose.Generate(jose.EdDSA, "key_forged")
	must(t, err)
	forged, err := jose.Sign(forger, jose.Header{Type: "at+jwt"}, []byte(`{"jti":"of-somebody-else"}`))
	must(t, err)
	tests := []struct {
		name string
		what admin.Revocation
		code fault.Code
	}{
		{"nothing", admin.Revocation{}, fault.Invalid},
		{"two things", admin.Revocation{User: "ada", Client: "shop"}, fault.Invalid},
		{"a key and a user", admin.Revocation{User: "ada", Key: "key_x"}, fault.Invalid},
		{"unknown user", admin.Revocation{User: "eve"}, fault.NotFound},
		{"unknown client", admin.Revocation{Client: "nobody"}, fault.NotFound},
		{"unknown API", admin.Revocation{API: "https://nobody.example"}, fault.NotFound},
		{"unknown key", admin.Revocation{Key: "key_nobody"}, fault.NotFound},
		{"not a session id", admin.Revocation{Session: "ses_x"}, fault.Invalid},
		{"forged token", admin.Revocation{Token: forged}, fault.Invalid},
		{"not a token", admin.Revocation{Token: "x"}, fault.Invalid},
		{"endless token", admin.Revocation{Token: strings.Repeat("x", 1<<20)}, fault.Invalid},
		{"reason with a line break", admin.Revocation{User: "ada", Reason: "a\nb"}, fault.Invalid},
		{"long reason", admin.Revocation{User: "ada", Reason: strings.Repeat("a", 41)}, fault.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, events := h.since(t, func() {
				_, err := h.Revoke(t.Context(), admin.ByCLI(), tt.what)
				wantCode(t, err, tt.code)
			})
			if len(entries)+len(events) != 0 {
				t.Errorf("wrote %v %v", entries, events)
			}
		})
	}
	_, err = h.Revoke(t.Context(), admin.ByCLI(), admin.Revocation{User: "ada", Reason: "drill"})
	must(t, err)
}
