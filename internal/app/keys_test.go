package app_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestKeysThatClientsNeedAreMadeAtTheStart(t *testing.T) {
	t.Parallel()
	const codes = "redirect_uris: [https://app.example/cb], grants: [authorization_code]"
	const device = "grants: ['urn:ietf:params:oauth:grant-type:device_code']"
	for _, c := range []struct {
		name, client string
		want         []jose.Algorithm
	}{
		{"nobody needs any", "{id: a, kind: confidential, secret: a-secret-of-this-test-000001, grants: [client_credentials]}", nil},
		{"codes", "{id: a, kind: public, " + codes + "}", []jose.Algorithm{jose.RS256}},
		{"devices", "{id: a, kind: public, " + device + "}", []jose.Algorithm{jose.RS256}},
		{"another algorithm", "{id: a, kind: public, " + codes + ", oauth: {id_token_signed_response_alg: EdDSA}}", []jose.Algorithm{jose.EdDSA}},
		{"signed userinfo too", "{id: a, kind: public, " + codes + ", oauth: {userinfo_signed_response_alg: ES256}}", []jose.Algorithm{jose.RS256, jose.ES256}},
		{"notices of sign-outs", "{id: a, kind: public, " + codes + ", backchannel_logout_uri: https://app.example/out, oauth: {id_token_signed_response_alg: ES256}}", []jose.Algorithm{jose.RS256, jose.ES256}},
		{"disabled", "{id: a, kind: public, disabled: true, " + codes + "}", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := mustOpen(t, filepath.Join(t.TempDir(), "data"))
			if _, err := a.Apply(t.Context(), "setup.yaml", []byte("clients: ["+c.client+"]")); err != nil {
				t.Fatal(err)
			}
			if made := issuerAlgs(a); len(made) > 0 {
				t.Fatalf("before the start there are %v", made)
			}
			app.Warm(t.Context(), a)
			if made := issuerAlgs(a); !slices.Equal(made, c.want) {
				t.Errorf("made %v, want %v", made, c.want)
			}
			before := fmt.Sprint(a.Ring().Signer(keyring.ForIssuer(jose.RS256)))
			app.Warm(t.Context(), a)
			if after := fmt.Sprint(a.Ring().Signer(keyring.ForIssuer(jose.RS256))); after != before {
				t.Error("a second start made another key")
			}
		})
	}
}

func issuerAlgs(a *app.App) (made []jose.Algorithm) {
	for _, alg := range keyring.IssuerAlgs {
		if _, ok := a.Ring().Signer(keyring.ForIssuer(alg)); ok {
			made = append(made, alg)
		}
	}
	return made
}
