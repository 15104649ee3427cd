package admin_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

const partner = `
transmitters:
  - {id: partner, issuer: "https://partner.example", jwks_uri: "https://partner.example/jwks", secret: a-secret-of-the-partner, subjects: {by: sub}}
`

func TestTransmittersAreDeclared(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	_, err := h.apply(t, partner, "")
	must(t, err)
	all, err := h.Transmitters(t.Context())
	must(t, err)
	if len(all) != 1 || all[0].Subjects.By != receiver.BySub ||
		!all[0].Secret.Equal(receiver.SecretCode(h.Secrets, "partner", "a-secret-of-the-partner")) {
		t.Fatalf("transmitters %+v", all)
	}
	setting, err := h.store.Setting(t.Context(), receiver.Setting)
	must(t, err)
	if strings.Contains(setting, "a-secret-of") {
		t.Error("the secret is stored as it is")
	}
	report, err := h.apply(t, partner, "")
	must(t, err)
	if len(report.Changes) != 0 {
		t.Errorf("a second time: %q", report.Changes)
	}
	report, err = h.apply(t, `transmitters: [{id: partner, audience: "https://a.example", subjects: {by: email, domains: [b.example, a.example]}, disabled: true}, `+
		`{id: another, issuer: "http://localhost:9", jwks_uri: "http://localhost:9/k", secret: a-secret-of-the-other, subjects: {by: sub}}]`, "")
	must(t, err)
	want := []string{
		"transmitter partner: audience (none) -> https://a.example", "transmitter partner: subjects.by sub -> email",
		"transmitter partner: subjects.domains [] -> [a.example, b.example]", "transmitter partner: disabled", "transmitter another added",
	}
	if !slices.Equal(report.Changes, want) {
		t.Errorf("changes:\n%s", strings.Join(report.Changes, "\n"))
	}
	all, err = h.Transmitters(t.Context())
	must(t, err)
	if len(all) != 2 || all[0].ID != "another" || all[1].Issuer != "https://partner.example" || !all[1].Disabled {
		t.Errorf("transmitters %+v", all)
	}
}

func TestTransmitterThatCannotBeTrustedIsRefused(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	const whole = `id: x, issuer: "https://i.example", jwks_uri: "https://i.example/k", secret: a-secret-of-the-partner, subjects: {by: sub}`
	for _, tt := range []struct{ name, old, next, want string }{
		{"plain HTTP", `issuer: "https://i.example"`, `issuer: "http://i.example"`, "issuer must be https"},
		{"no issuer", `issuer: "https://i.example", `, ``, "issuer must be"},
		{"keys over plain HTTP", `"https://i.example/k"`, `"http://i.example/k"`, "jwks_uri must be https"},
		{"no keys", `jwks_uri: "https://i.example/k", `, ``, "exactly one of jwks_uri and jwks_file"},
		{"file from afar", `jwks_uri: "https://i.example/k"`, `jwks_file: /etc/passwd`, "cannot be used here"},
		{"both", `jwks_uri:`, `jwks_file: k, jwks_uri:`, "both jwks_uri and jwks_file"},
		{"no secret", `secret: a-secret-of-the-partner, `, ``, "needs secret"},
		{"short secret", `a-secret-of-the-partner`, `short`, "20 to 200"},
		{"no way to name users", `{by: sub}`, `{by: name}`, "subjects.by"},
		{"domains of ids", `{by: sub}`, `{by: sub, domains: [a.example]}`, "by: email only"},
		{"not a domain", `{by: sub}`, `{by: email, domains: ["A.example"]}`, "not a domain"},
		{"nobody to look up", `{by: sub}`, `{by: iss_sub}`, "subjects.users"},
		{"odd id", `id: x`, `id: X/..`, "lower-case letters"},
		{"unknown field", `id: x`, `id: x, key: y`, "unknown field"},
	} {
		text := strings.Replace(whole, tt.old, tt.next, 1)
		_, err := h.apply(t, "transmitters:\n  - {"+text+"}\n", "")
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	_, err := h.apply(t, "transmitters:\n  - {"+whole+"}\n", "")
	must(t, err)
}

// Whoever may declare APIs may not have a server of their own end people's sessions.
func TestTrustNeedsThePowerItGives(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	d, _, err := admin.ParseDeclared([]byte(partner), "")
	must(t, err)
	if _, err := h.Apply(t.Context(), admin.By{Actor: "usr_1", Scopes: []string{"apis:write"}}, d); !fault.Is(err, fault.Forbidden) {
		t.Errorf("without sessions:revoke: %v", err)
	}
	_, err = h.Apply(t.Context(), admin.By{Actor: "usr_1", Scopes: []string{"sessions:revoke"}}, d)
	must(t, err)
}

func TestWhatAsksOnceIsObeyedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.addUser(t, "ada@example.com", "clerk")
	ask := func(once string) error {
		return h.Obey(t.Context(), receiver.Revocation{UserID: ada.ID, Reason: receiver.Reason, Actor: "transmitter:x", Once: once})
	}
	must(t, ask("set_1"))
	head, err := h.store.Head(t.Context())
	must(t, err)
	if err := ask("set_1"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	if again, _ := h.store.Head(t.Context()); again != head {
		t.Error("the log went on")
	}
	must(t, ask("set_2"))
	r, found, err := h.store.Covered(t.Context(), 0, []revoke.Ref{{Kind: revoke.User, Key: ada.ID}})
	must(t, err)
	if !found || r.Reason != receiver.Reason {
		t.Errorf("entry %+v", r)
	}
}

// places remembers which places in status lists were taken back.
type places struct{ ended []statuslist.Ref }

func (p *places) End(_ context.Context, r statuslist.Ref) error {
	p.ended = append(p.ended, r)
	return nil
}

func TestTokenRevokedByItselfLosesItsPlaceInTheList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lists := &places{}
	h.Statuses = lists
	key, ok := h.ring.Signer(orders)
	if !ok {
		t.Fatal("no key")
	}
	now := h.clock.now()
	mint := func(a token.Access) string {
		a.ID, a.Issuer, a.IssuedAt, a.ExpiresAt = opaque.ID(opaque.TokenID, now), issuer, now, now.Add(time.Minute)
		body, err := a.Claims()
		must(t, err)
		text, err := jose.Sign(key, jose.Header{Type: token.Type}, body)
		must(t, err)
		return text
	}
	place := token.Status{URI: issuer + "/status-lists/x", Index: 7}
	for _, tt := range []struct {
		name string
		of   token.Access
		want int
	}{
		{"without a place", token.Access{SessionID: "ses_1"}, 0},
		{"of a client, whose place the log names", token.Access{Status: place}, 0},
		{"of a session", token.Access{SessionID: "ses_1", Status: place}, 1},
	} {
		if _, err := h.Revoke(t.Context(), admin.ByCLI(), admin.Revocation{Token: mint(tt.of)}); err != nil || len(lists.ended) != tt.want {
			t.Errorf("%s: %v, %v", tt.name, lists.ended, err)
		}
	}
}
