package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
)

func orders() api.API {
	return api.API{ID: "https://orders.example", Scopes: []string{"orders:read", "orders:write"}}.WithDefaults()
}

func recipient(t *testing.T) json.RawMessage {
	t.Helper()
	key, err := jose.GenerateDecryptionKey("ECDH-ES", "vault")
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	return jwk
}

func TestDefaultsAreSound(t *testing.T) {
	t.Parallel()
	a := orders()
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	if a.Token.Format != api.JWT || a.Token.Alg != jose.EdDSA || a.Token.Lifetime != 5*time.Minute || a.Stale != api.Degrade || a.Name != a.ID {
		t.Errorf("defaults: %+v", a)
	}
	for _, id := range []string{"urn:example:vault", "http://localhost:9000", api.Management} {
		if err := (api.API{ID: id}).WithDefaults().Check(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestUnsoundAPIsAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*api.API)
	}{
		{"relative id", func(a *api.API) { a.ID = "orders" }},
		{"id with fragment", func(a *api.API) { a.ID = "https://orders.example#x" }},
		{"id with a line break", func(a *api.API) { a.ID = "https://orders.example\n" }},
		{"long id", func(a *api.API) { a.ID = "https://" + strings.Repeat("a", 200) }},
		{"name with an escape", func(a *api.API) { a.Name = "Orders\x1b[2J" }},
		{"alg none", func(a *api.API) { a.Token.Alg = "none" }},
		{"alg in lower case", func(a *api.API) { a.Token.Alg = "rs256" }},
		{"lifetime under a second", func(a *api.API) { a.Token.Lifetime = time.Millisecond }},
		{"lifetime over a day", func(a *api.API) { a.Token.Lifetime = 24*time.Hour + 1 }},
		{"negative lifetime", func(a *api.API) { a.Token.Lifetime = -time.Minute }},
		{"unknown policy", func(a *api.API) { a.Stale = "ignore" }},
		{"unknown format", func(a *api.API) { a.Token.Format = "paseto" }},
		{"scope with a space", func(a *api.API) { a.Scopes = []string{"orders read"} }},
		{"scope with a quote", func(a *api.API) { a.Scopes = []string{`a"b`} }},
		{"scope beyond ASCII", func(a *api.API) { a.Scopes = []string{"ördern"} }},
		{"scope that stands for all", func(a *api.API) { a.Scopes = []string{"*"} }},
		{"scope named twice", func(a *api.API) { a.Scopes = []string{"a", "a"} }},
		{"encrypted without a key", func(a *api.API) { a.Token.Format = api.JWE }},
		{"key without encryption", func(a *api.API) { a.Token.Encrypt = &api.Encrypt{} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := orders()
			tt.edit(&a)
			if err := a.Check(); !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEncryptedFormatNeedsAnAllowedRecipient(t *testing.T) {
	t.Parallel()
	a := orders()
	a.Token.Format, a.Token.Encrypt = api.JWE, &api.Encrypt{Alg: "ECDH-ES", Enc: "A256GCM", JWK: recipient(t)}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		edit func(*api.Encrypt)
	}{
		{"RSA1_5", func(e *api.Encrypt) { e.Alg = "RSA1_5" }},
		{"PBES2", func(e *api.Encrypt) { e.Alg = "PBES2-HS256+A128KW" }},
		{"dir", func(e *api.Encrypt) { e.Alg = "dir" }},
		{"CBC", func(e *api.Encrypt) { e.Enc = "A128CBC-HS256" }},
		{"no key", func(e *api.Encrypt) { e.JWK = nil }},
		{"broken key", func(e *api.Encrypt) { e.JWK = json.RawMessage(`{"kty":"EC"}`) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := *a.Token.Encrypt
			tt.edit(&e)
			b := a
			b.Token.Encrypt = &e
			if err := b.Check(); !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAudienceOfTheBuiltInAPIIsUnderTheIssuer(t *testing.T) {
	t.Parallel()
	if got := (api.API{ID: api.Management}).Audience("https://id.example"); got != "https://id.example/api/v1" {
		t.Errorf("got %s", got)
	}
	if got := orders().Audience("https://id.example"); got != "https://orders.example" {
		t.Errorf("got %s", got)
	}
}
