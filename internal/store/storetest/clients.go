package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/store"
)

func clientCases() []testCase {
	return []testCase{
		{"Samples/HaveSomethingInEveryField", wholeSamples},
		{"Clients/EmptyAndMissingOnesReadBack", emptyClients},
		{"Clients/DatesAndDigestsReadBack", clientDates},
		{"Clients/JSONKeepsItsMeaning", keepsJSON},
	}
}

// wholeSamples keeps the other tests honest: a new field that no sample has is one
// that every backend may drop.
func wholeSamples(t *testing.T, _ store.Store) {
	details := newDetails()
	details.Consented = true
	for name, sample := range map[string]any{
		"client": newClient("web"), "OAuth": newOAuth("web"), "assertion issuer": newOAuth("web").Assertions[0], "profile": newProfile("ada"),
		"details": details, "claims": *details.Claims, "ticket": newTicket("t"), "consent": newConsent("ada", "web", "orders", "read"),
	} {
		v := reflect.ValueOf(sample)
		for i := range v.NumField() {
			if field := v.Type().Field(i).Name; v.Field(i).IsZero() && field != "Disabled" {
				t.Errorf("the sample of a %s has nothing in %s", name, field)
			}
		}
	}
}

// emptyClients: what is not there is not there afterwards, and what has nothing in it
// is nil where the names are those of a registration.
func emptyClients(t *testing.T, s store.Store) {
	ctx := t.Context()
	bare := client.Client{ID: "bare", Kind: client.Public, CreatedAt: at(0), UpdatedAt: at(0), Version: 1}
	hollow := bare
	hollow.ID, hollow.RedirectURIs, hollow.Origins, hollow.Grants = "hollow", []string{}, []string{}, []string{}
	hollow.APIs, hollow.Serves = map[string][]string{"orders": {}, "vault": nil}, []string{}
	want := hollow
	want.OAuth.Assertions = []client.AssertionIssuer{{Issuer: "i"}}
	hollow.OAuth = client.OAuth{
		JWKS: json.RawMessage{}, PostLogoutRedirectURIs: []string{}, DefaultACR: []string{}, Contacts: []string{},
		Assertions: []client.AssertionIssuer{{Issuer: "i", JWKS: json.RawMessage{}}},
	}
	empty := bare
	empty.ID, empty.OAuth.Assertions = "empty", []client.AssertionIssuer{}
	for _, c := range []client.Client{bare, hollow, empty} {
		must(t, s.AddClient(ctx, c, none))
	}
	none := bare
	none.ID = "empty"
	for _, want := range []client.Client{bare, want, none} {
		for range 3 {
			got, _, err := s.ClientByID(ctx, want.ID)
			must(t, err)
			same(t, "client "+want.ID, got, want)
		}
	}
}

func clientDates(t *testing.T, s store.Store) {
	ctx := t.Context()
	c := newClient("web")
	c.OldSecretUntil = at(time.Hour).Add(789).In(time.FixedZone("CEST", 2*60*60))
	c.RegistrationHash = opaque.Digest{31: 1}
	must(t, s.AddClient(ctx, c, none))
	c.OldSecretUntil = at(time.Hour)
	got, _, err := s.ClientByID(ctx, "web")
	must(t, err)
	same(t, "with a date of another zone", got, c)
	c.OldSecretHash, c.OldSecretUntil = opaque.Digest{}, time.Time{}
	ok, err := s.ChangeClient(ctx, c, none)
	did(t, "ChangeClient", ok, err)
	c.Version++
	got, _, err = s.ClientByID(ctx, "web")
	must(t, err)
	same(t, "without an old secret", got, c)
}

// keepsJSON: the spaces may go, everything else stays.
func keepsJSON(t *testing.T, s store.Store) {
	ctx := t.Context()
	compact := func(text json.RawMessage) string {
		var out bytes.Buffer
		must(t, json.Compact(&out, text))
		return out.String()
	}
	for i, text := range []string{
		` { "keys" : [ ] , "x" : 1.50e+01 } `, `{"a":"é \u00e9 <&>","b":1e400,"b":2}`, `null`, `[]`, `"\ud800 \\u0000 \u0000"`, "{\"a\":\"\u2028\x7f\"}",
	} {
		c, u := newClient(fmt.Sprint("c", i)), newUser(fmt.Sprint("u", i))
		c.OAuth.JWKS, c.OAuth.Assertions[0].JWKS, u.Profile.Address = json.RawMessage(text), json.RawMessage(text), json.RawMessage(text)
		must(t, s.AddClient(ctx, c, none))
		must(t, s.AddUser(ctx, u, none))
		got, _, err := s.ClientByID(ctx, c.ID)
		must(t, err)
		user, _, err := s.UserByID(ctx, u.ID)
		must(t, err)
		want := compact(json.RawMessage(text))
		for what, is := range map[string]json.RawMessage{
			"keys": got.OAuth.JWKS, "keys of an issuer": got.OAuth.Assertions[0].JWKS, "address": user.Profile.Address,
		} {
			same(t, what, compact(is), want)
		}
	}
	u := newUser("nowhere")
	u.Profile = account.Profile{Address: json.RawMessage{}}
	must(t, s.AddUser(ctx, u, none))
	got, _, err := s.UserByID(ctx, u.ID)
	must(t, err)
	same(t, "profile of nothing", got.Profile, account.Profile{})
}
