package admin_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/verify/jose"
)

const keyedSample = `
clients:
  - id: billing
    kind: confidential
    redirect_uris: [https://billing.example/callback]
    grants: [authorization_code, "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    oauth:
      profile: fapi2
      token_endpoint_auth_method: private_key_jwt
      jwks_file: billing.jwks
      dpop_bound_access_tokens: true
      id_token_signed_response_alg: PS256
      default_max_age: 3600
      post_logout_redirect_uris: [https://billing.example/bye]
      assertion_issuers:
        - {issuer: https://idp.example, jwks_uri: https://idp.example/keys}
users:
  - login: ada@example.com
    profile: {given_name: Ada, birthdate: 1815, email: ada@example.com, email_verified: true, address: {postal_code: 01234, country: GB}}
`

// keyFolder holds the file that keyedSample names.
func keyFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "billing.jwks"), []byte(publicKeys(t, "k1")), 0o644))
	return dir
}

func TestDeclaredOAuthAndProfilesAreApplied(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := keyFolder(t)
	report, err := h.apply(t, keyedSample, dir)
	must(t, err)
	if want := []string{"client billing added", "user ada@example.com added"}; !slices.Equal(report.Changes, want) {
		t.Errorf("changed %q", report.Changes)
	}
	o := h.clientByID(t, "billing").OAuth
	if o.Profile != client.FAPI2 || o.IDTokenAlg != jose.PS256 || *o.DefaultMaxAge != 3600 || !o.DPoPBound || len(o.Assertions) != 1 || !strings.Contains(string(o.JWKS), `"k1"`) {
		t.Errorf("got %+v", o)
	}
	u, err := h.User(t.Context(), "ada@example.com")
	must(t, err)
	if p := u.Profile; p.GivenName != "Ada" || p.Birthdate != "1815" || !p.EmailVerified || string(p.Address) != `{"country":"GB","postal_code":"01234"}` {
		t.Errorf("got %+v, %s", p, p.Address)
	}
	report, err = h.apply(t, keyedSample, dir)
	must(t, err)
	if len(report.Changes) != 0 {
		t.Errorf("a second time: %q", report.Changes)
	}
	report, err = h.apply(t, `
clients:
  - {id: billing, oauth: {default_max_age: null, id_token_signed_response_alg: ES256}}
users:
  - {login: ada@example.com, profile: {nickname: Countess, birthdate: null}}
`, "")
	must(t, err)
	if want := []string{
		"client billing: oauth.default_max_age 3600 -> (none)", "client billing: oauth.id_token_signed_response_alg PS256 -> ES256",
		"user ada@example.com: profile.birthdate changed", "user ada@example.com: profile.nickname changed",
	}; !slices.Equal(report.Changes, want) {
		t.Errorf("changed %q", report.Changes)
	}
}

func TestMistakesInDeclaredOAuthAreNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := keyFolder(t)
	must(t, os.WriteFile(filepath.Join(dir, "text.jwks"), []byte("keys"), 0o644))
	for text, sentence := range map[string]string{
		"clients:\n  - id: x\n    oauth:\n      logo: y\n":                                         `Set-up, line 4: unknown field "logo".`,
		"clients:\n  - id: x\n    oauth: [logo_uri]\n":                                             "Set-up, line 3: a value of this type does not belong here.",
		"clients:\n  - id: x\n    oauth: {logo_uri: https://x.example, logo_uri: y}\n":             `Set-up, line 3: key "logo_uri" is there twice.`,
		"clients:\n  - id: x\n    kind: public\n    oauth: {contacts: 7}\n":                        "line 2: client x: oauth.contacts has the wrong type",
		"clients:\n  - id: x\n    kind: public\n    oauth: {logo_uri: 'javascript:alert(1)'}\n":    "line 2: client x: Client x: logo_uri",
		"clients:\n  - id: x\n    kind: confidential\n    oauth: {profile: fapi2}\n":               "client x: a confidential client needs secret or secret_file",
		"clients:\n  - id: x\n    oauth: {jwks_file: billing.jwks, jwks: {keys: []}}\n":            "line 2: client x: has both oauth.jwks and oauth.jwks_file",
		"clients:\n  - id: x\n    kind: public\n    oauth: {jwks_file: nothing.jwks}\n":            "oauth.jwks_file",
		"clients:\n  - id: x\n    kind: public\n    oauth: {jwks_file: text.jwks}\n":               "oauth.jwks_file text.jwks holds no JSON",
		"clients:\n  - id: x\n    oauth: {jwks_file: [a]}\n":                                       "a value of this type does not belong here",
		"users:\n  - login: x@example.com\n    profile: {mail: x@example.com}\n":                   `Set-up, line 3: unknown field "mail".`,
		"users:\n  - login: x@example.com\n    profile: {email_verified: true}\n":                  "line 2: user x@example.com: The profile's email_verified needs email",
		"users:\n  - login: x@example.com\n    profile: {picture: 'data:text/html,x'}\n":           "picture is not a https URL",
		"users:\n  - login: x@example.com\n    profile: {address: {? {a: b} : c}}\n":               "not YAML of the form",
		"clients:\n  - id: x\n    kind: public\n    grants: [authorization_code]\n":                "authorization_code needs a redirect URI",
		"clients:\n  - id: x\n    kind: confidential\n    secret: s\n    oauth: {consent: skip}\n": "a secret has 20 to 200 characters",
	} {
		_, events := h.since(t, func() {
			if _, err := h.apply(t, text, dir); err == nil || !strings.Contains(err.Error(), sentence) {
				t.Errorf("%s\ngot %v, want %s", text, err, sentence)
			}
		})
		if len(events) != 0 {
			t.Errorf("%s: wrote %v", text, events)
		}
	}
	// A text from afar has no file of ours read.
	if _, err := h.apply(t, keyedSample, ""); err == nil || !strings.Contains(err.Error(), "jwks_file cannot be used here") {
		t.Errorf("without a folder: %v", err)
	}
	_, err := h.apply(t, keyedSample, dir)
	must(t, err)
}
