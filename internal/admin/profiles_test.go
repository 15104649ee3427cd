package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
)

func TestProfilesAreEditedClaimByClaim(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u, err := h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{
		Login: "ada@example.com", Profile: json.RawMessage(`{"given_name":"Ada","birthdate":"1815-12-10","address":{"country":"GB"}}`),
	})
	must(t, err)
	if u.Profile.GivenName != "Ada" || u.Profile.Email != "" || string(u.Profile.Address) != `{"country":"GB"}` {
		t.Errorf("got %+v", u.Profile)
	}
	var entries int
	_, events := h.since(t, func() {
		revoked, _ := h.since(t, func() {
			u, err = h.EditUser(t.Context(), admin.ByCLI(), u.ID, admin.UserEdit{Profile: json.RawMessage(`{"birthdate":null,"email":"ada@example.com","email_verified":true,"address":{ "country" : "GB" }}`)})
			must(t, err)
		})
		entries = len(revoked)
	})
	if want := (account.Profile{GivenName: "Ada", Email: "ada@example.com", EmailVerified: true, Address: json.RawMessage(`{"country":"GB"}`)}); !same(u.Profile, want) {
		t.Errorf("got %+v", u.Profile)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Detail)
	}
	if got := strings.Join(lines, "; "); got != "profile.birthdate changed; profile.email changed; profile.email_verified changed" || entries != 0 {
		t.Errorf("audit: %s; %d revocations", got, entries)
	}
	_, events = h.since(t, func() {
		_, err = h.EditUser(t.Context(), admin.ByCLI(), u.ID, admin.UserEdit{Profile: json.RawMessage(`{"given_name":"Ada"}`)})
		must(t, err)
	})
	if len(events) != 0 {
		t.Errorf("an edit that changes nothing wrote %v", events)
	}
}

func same(a, b account.Profile) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestUnsoundProfilesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(t, "ada@example.com")
	for profile, sentence := range map[string]string{
		`{"picture":"javascript:alert(1)"}`:   "picture",
		`{"email":"ada"}`:                     "email",
		`{"email_verified":true}`:             "email_verified needs email",
		`{"email_verified":"true"}`:           "profile.email_verified has the wrong type",
		`{"mail":"ada@example.com"}`:          "profile has no member mail.",
		`{"birthdate":1815}`:                  "profile.birthdate has the wrong type",
		`{"address":"London"}`:                "address",
		`{"given_name":"A","given_name":"B"}`: "without repeated members",
		`[]`:                                  "must be one JSON object",
	} {
		_, events := h.since(t, func() {
			_, err := h.EditUser(t.Context(), admin.ByCLI(), u.ID, admin.UserEdit{Profile: json.RawMessage(profile)})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), sentence) {
				t.Errorf("%s: got %v", profile, err)
			}
			_, err = h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "bob@example.com", Profile: json.RawMessage(profile)})
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("new, %s: got %v", profile, err)
			}
		})
		if len(events) != 0 {
			t.Errorf("%s: wrote %v", profile, events)
		}
	}
	_, err := h.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "bob@example.com", Profile: json.RawMessage(`{"picture":"https://example.com/bob.png"}`)})
	must(t, err)
}
