package admin_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// sample has every field that there is.
const sample = `
apis:
  - id: https://orders.example            # the audience
    name: Orders
    token: {format: jwt, alg: RS256, lifetime: 5m, status_list: true}
    scopes: [orders:read, orders:write]
    stale: degrade
  - id: https://vault.example
    token: {format: jwe, alg: EdDSA, encrypt: {alg: ECDH-ES, enc: A256GCM, jwk_file: ./vault.pub.jwk}}
    scopes: [vault:open]
clients:
  - id: shop-web
    name: Shop
    kind: public
    first_party: true
    redirect_uris: [http://localhost:3000/callback]
    origins: [http://localhost:3000]
    grants: [authorization_code, refresh_token]
    apis: {https://orders.example: [orders:read]}
  - id: orders-api
    kind: confidential
    secret: orders-api-secret-for-local-use
    grants: [client_credentials]
    apis: {management: [feed:read, sessions:check]}
    serves: [https://orders.example]
  - id: vault-api
    kind: confidential
    secret_file: vault.secret
    disabled: true
roles:
  - {id: clerk, scopes: {https://orders.example: [orders:read]}}
users:
  - {login: ada@example.com, password: correct-horse-battery-staple, roles: [clerk]}
  - {login: bob@example.com, name: Bob, password_file: bob.password, disabled: true}
transmitters:
  - id: workforce
    issuer: https://idp.example
    jwks_file: idp.jwks
    audience: https://id.example
    secret_file: idp.secret
    subjects: {by: email, domains: [example.com]}
  - {id: partner, issuer: https://partner.example, jwks_uri: https://partner.example/jwks, secret_file: idp.secret, subjects: {by: iss_sub, users: {u-1: ada@example.com}}, disabled: true}
`

// folder holds the files that sample names.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := jose.GenerateDecryptionKey("ECDH-ES", "vault")
	must(t, err)
	jwk, err := json.Marshal(key.Recipient())
	must(t, err)
	foreign, err := jose.Generate(jose.ES256, "f1")
	must(t, err)
	jwks, err := json.Marshal(jose.KeySet{foreign.Public()})
	must(t, err)
	for name, text := range map[string]string{
		"idp.jwks": string(jwks), "idp.secret": "what-the-transmitter-sends\n",
		"vault.pub.jwk": string(jwk), "vault.secret": "vault-api-secret-from-a-file\n", "bob.password": better + "\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func (h *house) apply(t *testing.T, text, dir string) (admin.Report, error) {
	t.Helper()
	d, _, err := admin.ParseDeclared([]byte(text), dir)
	if err != nil {
		return admin.Report{}, err
	}
	return h.Apply(t.Context(), admin.ByCLI(), d)
}

func TestSampleIsApplied(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	dir := folder(t)
	_, warnings, err := admin.ParseDeclared([]byte(sample), dir)
	must(t, err)
	if len(warnings) != 2 || !strings.Contains(warnings[0], "client orders-api") || !strings.Contains(warnings[1], "user ada@example.com") {
		t.Errorf("warnings: %q", warnings)
	}
	report, err := h.apply(t, sample, dir)
	must(t, err)
	want := []string{
		"api https://orders.example added", "api https://vault.example added", "role clerk added",
		"client shop-web added", "client orders-api added", "client vault-api added",
		"user ada@example.com added", "user bob@example.com added", "transmitter workforce added", "transmitter partner added",
	}
	if !slices.Equal(report.Changes, want) {
		t.Errorf("report:\n%s", strings.Join(report.Changes, "\n"))
	}
	ada, err := h.User(t.Context(), "ada@example.com")
	must(t, err)
	bob, err := h.User(t.Context(), "bob@example.com")
	must(t, err)
	if !h.verifies(t, ada.ID, good) || !ada.HasRole("clerk") || !h.verifies(t, bob.ID, better) || !bob.Disabled {
		t.Errorf("users: %+v %+v", ada, bob)
	}
	if !h.code(t, "vault-api").Equal(h.Secrets.MAC("client", "vault-api", "vault-api-secret-from-a-file")) {
		t.Error("the secret is not that of the file")
	}
	vaultAPI, err := h.API(t.Context(), vault)
	must(t, err)
	ordersAPI, err := h.API(t.Context(), orders)
	must(t, err)
	if vaultAPI.Token.Format != api.JWE || vaultAPI.Token.Encrypt == nil || ordersAPI.Token.Alg != jose.RS256 || !ordersAPI.Token.StatusList || ordersAPI.Name != "Orders" {
		t.Errorf("APIs: %+v %+v", vaultAPI, ordersAPI)
	}
	shop, err := h.Client(t.Context(), "shop-web")
	must(t, err)
	service, err := h.Client(t.Context(), "orders-api")
	must(t, err)
	if !shop.FirstParty || !shop.MaySend("http://localhost:3000/callback") || !slices.Equal(service.Serves, []string{orders}) ||
		!slices.Equal(service.APIs[api.Management], []string{"feed:read", "sessions:check"}) {
		t.Errorf("clients: %+v %+v", shop, service)
	}
}

func TestAppliedTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	dir := folder(t)
	_, err := h.apply(t, sample, dir)
	must(t, err)
	entries, events := h.since(t, func() {
		report, err := h.apply(t, sample, dir)
		must(t, err)
		if len(report.Changes) != 0 {
			t.Errorf("report: %q", report.Changes)
		}
	})
	if len(entries)+len(events) != 0 {
		t.Errorf("wrote %v %v", entries, events)
	}
}

func TestDifferencesAreAppliedAndReported(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	dir := folder(t)
	_, err := h.apply(t, sample, dir)
	must(t, err)
	tests := []struct{ name, text, want string }{
		{"lifetime", "apis: [{id: https://orders.example, token: {lifetime: 10m}}]", "api https://orders.example: token.lifetime 5m -> 10m"},
		{"algorithm", "apis: [{id: https://orders.example, token: {alg: ES256}}]", "api https://orders.example: token.alg RS256 -> ES256"},
		{"format", "apis: [{id: https://vault.example, token: {format: opaque}}]", "api https://vault.example: token.format jwe -> opaque\napi https://vault.example: token.encrypt changed"},
		{"scopes", "apis: [{id: https://vault.example, scopes: [vault:close, vault:open]}]", "api https://vault.example: scopes [vault:open] -> [vault:close, vault:open]"},
		{"secret", "clients: [{id: orders-api, secret: another-secret-for-local-use}]", "client orders-api: secret changed"},
		{"enabled", "clients: [{id: vault-api, disabled: false}]", "client vault-api: enabled"},
		{"role", "roles: [{id: clerk, scopes: {https://orders.example: ['*']}}]", "role clerk: scopes {https://orders.example: [orders:read]} -> {https://orders.example: [*]}"},
		{"user", "users: [{login: ada@example.com, name: Ada, roles: []}]", "user ada@example.com: name (none) -> Ada\nuser ada@example.com: roles [clerk] -> []"},
		{"password", "users: [{login: ada@example.com, password: " + better + "}]", "user ada@example.com: password changed"},
		{"management by its audience", "apis: [{id: " + issuer + "/api/v1, token: {lifetime: 1m}}]", "api " + issuer + "/api/v1: token.lifetime 5m -> 1m"},
		{"nothing", "# only a comment", ""},
		{"empty lists", "users: []\napis:\n", ""},
	}
	for _, tt := range tests { // one after the other: they share the house
		report, err := h.apply(t, tt.text, dir)
		if got := strings.Join(report.Changes, "\n"); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
	ada, err := h.User(t.Context(), "ada@example.com")
	must(t, err)
	if !h.verifies(t, ada.ID, better) {
		t.Error("the password was not changed")
	}
}

func TestApplyTakesBackLikeTheChangesOneByOne(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	dir := folder(t)
	_, err := h.apply(t, sample, dir)
	must(t, err)
	ada, err := h.User(t.Context(), "ada@example.com")
	must(t, err)
	entries, _ := h.since(t, func() {
		_, err := h.apply(t, "users: [{login: ada@example.com, disabled: true}]", dir)
		must(t, err)
	})
	wantEntry(t, entries, revoke.User, ada.ID, "ban")
}

func TestMistakeAnywhereChangesNothing(t *testing.T) {
	t.Parallel()
	const sound = `
apis: [{id: https://new.example, scopes: [read]}]
roles: [{id: reader, scopes: {https://new.example: [read]}}]
users: [{login: new@example.com, password: correct-horse-battery-staple, roles: [reader]}]
clients:
  - {id: fine, kind: public}
`
	tests := []struct{ name, more, message string }{
		{"unknown API", "  - {id: x, kind: public, apis: {https://other.example: [read]}}", "line 7: client x: Client x names the API https://other.example"},
		{"unknown scope", "  - {id: x, kind: public, apis: {https://new.example: [write]}}", "line 7: client x: Client x names the scope write"},
		{"unknown kind", "  - {id: x, kind: trusted}", "line 7: client x"},
		{"no secret", "  - {id: x, kind: confidential}", "needs secret or secret_file"},
		{"short secret", "  - {id: x, kind: confidential, secret: short}", "20 to 200"},
		{"two secrets", "  - {id: x, kind: confidential, secret: a, secret_file: b}", "both secret and secret_file"},
		{"missing file", "  - {id: x, kind: confidential, secret_file: nothing.txt}", "secret_file"},
		{"no id", "  - {kind: public}", "line 7: client : id is missing"},
		{"declared twice", "  - {id: fine, kind: public}", "line 7: client fine: is declared twice"},
		{"unknown field", "  - {id: x, kind: public, colour: red}", "line 7: unknown field \"colour\""},
		{"field twice", "  - {id: x, kind: public, kind: public}", "line 7"},
		{"wrong type", "  - {id: x, kind: public, grants: {a: b}}", "line 7"},
		{"broken YAML", "  - {id: x, kind: public", "Set-up, line"},
		{"second document", "---\nusers: []", "more than one YAML document"},
		{"second list", "clients: []", "line 7"},
		{"anchor", "  - &a {id: x, kind: public}", "line 7: anchors, aliases"},
		{"tag", "  - {id: !!str x, kind: public}", "line 7: anchors, aliases and tags"},
		{"deep brackets", strings.Repeat("[", 400_000), "Set-up, line"},
		{"deep list", strings.Repeat("- ", 400_000), "Set-up, line"},
		{"deep keys", strings.Repeat("? ", 400_000), "nested too deeply"},
		{"deep maps", "  - " + strings.Repeat("a: ", 300_000), "Set-up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := bareHouse(t)
			entries, events := h.since(t, func() {
				_, err := h.apply(t, sound+tt.more, t.TempDir())
				wantCode(t, err, fault.Invalid)
				if err != nil && !strings.Contains(err.Error(), tt.message) {
					t.Errorf("message %q does not say %q", err, tt.message)
				}
			})
			if len(entries)+len(events) != 0 {
				t.Errorf("wrote %v %v", entries, events)
			}
			if report, err := h.apply(t, sound, ""); err != nil || len(report.Changes) != 4 {
				t.Errorf("without the mistake: %q, %v", report.Changes, err)
			}
		})
	}
}

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	_, err := h.apply(t, `
apis:
  - {id: orders}
  - {id: https://a.example, token: {alg: none}}
  - {id: https://b.example, token: {lifetime: soon}}
  - {id: https://c.example, stale: ignore}
roles:
  - {id: admin, scopes: {management: ["*"]}}
  - {id: reader, scopes: {https://a.example: [read]}}
users:
  - {login: ada, password: short}
  - {login: bob, password_hash: "$1$md5"}
  - {login: eve, roles: [king]}
  - {login: "", password: x}
  - {login: Zoe, password: correct-horse-battery-staple}
  - {login: zoe, password: correct-horse-battery-staple}
`, "")
	if err == nil {
		t.Fatal("let through")
	}
	for _, part := range []string{"line 14: user : login is missing"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	_, err = h.apply(t, `
apis:
  - {id: orders}
  - {id: https://a.example, token: {alg: none}}
  - {id: https://b.example, token: {lifetime: soon}}
  - {id: https://c.example, stale: ignore}
roles:
  - {id: admin, scopes: {management: ["*"]}}
  - {id: reader, scopes: {https://a.example: [read]}}
users:
  - {login: ada, password: short}
  - {login: bob, password_hash: "$1$md5"}
  - {login: eve, roles: [king]}
  - {login: Zoe, password: correct-horse-battery-staple}
  - {login: zoe, password: correct-horse-battery-staple}
`, "")
	wantCode(t, err, fault.Invalid)
	for _, part := range []string{
		"line 3: api orders", "line 4: api https://a.example", "line 5: api https://b.example", "line 6: api https://c.example",
		"line 8: role admin", "line 9: role reader", "line 11: user ada", "line 12: user bob", "line 13: user eve", "line 15: user zoe",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "line 14") || strings.Contains(err.Error(), "short") {
		t.Errorf("names what is sound, or repeats a password: %v", err)
	}
}

// A set-up that comes over the network must not have the server read its files.
func TestSetupWithoutAFolderReadsNoFiles(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, text := range []string{
		"clients: [{id: x, kind: confidential, secret_file: " + filepath.Join(dir, "vault.secret") + "}]",
		"users: [{login: x, password_file: /etc/hostname}]",
		"apis: [{id: https://x.example, token: {format: jwe, encrypt: {alg: ECDH-ES, enc: A256GCM, jwk_file: /etc/hostname}}}]",
	} {
		_, _, err := admin.ParseDeclared([]byte(text), "")
		wantCode(t, err, fault.Invalid)
		if err != nil && strings.Contains(err.Error(), "vault-api-secret") {
			t.Errorf("tells what is in the file: %v", err)
		}
	}
	if _, _, err := admin.ParseDeclared([]byte("clients: [{id: x, kind: confidential, secret_file: vault.secret}]"), dir); err != nil {
		t.Errorf("with a folder: %v", err)
	}
}

func TestSecretFilesForAllEyesAreWarnedOf(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	must(t, os.Chmod(filepath.Join(dir, "vault.secret"), 0o644))
	_, warnings, err := admin.ParseDeclared([]byte("clients: [{id: x, kind: confidential, secret_file: vault.secret}]"), dir)
	must(t, err)
	if len(warnings) != 1 || !strings.Contains(warnings[0], "can be read by others") {
		t.Errorf("warnings: %q", warnings)
	}
	for name, text := range map[string]string{"empty": "\n", "two lines": "twenty-characters-ok\nmore\n"} {
		must(t, os.WriteFile(filepath.Join(dir, "vault.secret"), []byte(text), 0o600))
		_, _, err := admin.ParseDeclared([]byte("clients: [{id: x, kind: confidential, secret_file: vault.secret}]"), dir)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err = admin.ParseDeclared([]byte("clients: [{id: x, kind: confidential, secret_file: .}]"), dir)
	wantCode(t, err, fault.Invalid)
}

func TestMessagesDoNotRepeatSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"clients:\n  - id: x\n    secret: my-very-own-secret-value\n    colour: red\n",
		"clients:\n  - id: x\n    secret: [my-very-own-secret-value]\n",
		"users:\n  - login: x\n    password: my-very-own-secret-value\n   bad: indent\n",
		"users:\n  - login: x\n    password: {my-very-own-secret-value\n",
	} {
		_, _, err := admin.ParseDeclared([]byte(text), "")
		wantCode(t, err, fault.Invalid)
		if err != nil && strings.Contains(err.Error(), "my-very-own") {
			t.Errorf("message: %v", err)
		}
	}
}

func TestDeclaredHashIsTheFirstPasswordOnly(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	hash, err := h.Passwords.Hash(t.Context(), good)
	must(t, err)
	text := "users: [{login: ada, password_hash: '" + hash + "'}]"
	_, err = h.apply(t, text, "")
	must(t, err)
	ada, err := h.User(t.Context(), "ada")
	must(t, err)
	own, err := h.Passwords.Hash(t.Context(), good) // as a sign-in stores it
	must(t, err)
	stored, _, err := h.store.UserByID(t.Context(), ada.ID)
	must(t, err)
	if done, err := h.store.Rehash(t.Context(), ada.ID, stored.PasswordHash, own); err != nil || !done {
		t.Fatal(done, err)
	}
	h.start(t, ada.ID)
	report, err := h.apply(t, text, "")
	must(t, err)
	if live, _ := h.Sessions.List(t.Context(), ada.ID); len(report.Changes) != 0 || len(live) != 1 {
		t.Errorf("report %q, %d sessions", report.Changes, len(live))
	}
}

func TestSetupThatLeavesNoAdministratorIsRefused(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	h.addUser(t, "root", account.AdminRole)
	for _, text := range []string{
		"users: [{login: root, roles: []}]",
		"users: [{login: root, disabled: true}, {login: second, password: " + good + "}]",
		"users: [{login: root, disabled: true}, {login: second, password: " + good + ", roles: [admin], disabled: true}]",
	} {
		_, events := h.since(t, func() {
			_, err := h.apply(t, text, "")
			wantCode(t, err, fault.Invalid)
		})
		if len(events) != 0 {
			t.Errorf("wrote %v", events)
		}
	}
	report, err := h.apply(t, "users: [{login: root, disabled: true}, {login: second, password: "+good+", roles: [admin]}]", "")
	must(t, err)
	if len(report.Changes) != 2 {
		t.Errorf("report: %q", report.Changes)
	}
}

func TestSetupBySomebodyWithFewerScopesGivesNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	by := h.delegate(t)
	d, _, err := admin.ParseDeclared([]byte("users: [{login: new, password: "+good+", roles: [clerk]}, {login: mine, password: "+good+", roles: [admin]}]"), "")
	must(t, err)
	entries, events := h.since(t, func() {
		_, err := h.Apply(t.Context(), by, d)
		wantCode(t, err, fault.Forbidden)
	})
	refusedOnly(t, entries, events)
}

func FuzzParseDeclared(f *testing.F) {
	f.Add(sample)
	f.Add("users: [{login: a}]")
	f.Add("a: &a [*a]")
	f.Add("- x")
	f.Add("apis: &x\n  - id: a\nclients: *x")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, err := admin.ParseDeclared([]byte(text), "")
		if err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
			t.Errorf("got %v", err)
		}
	})
}

// In YAML 1.2 a colon without space after it is part of a word, also in braces.
func TestWordsWithColonsInBracesAreWords(t *testing.T) {
	t.Parallel()
	h := bareHouse(t)
	_, err := h.apply(t, `
apis: [{id: "urn:example:vault", scopes: [vault:open:now, "vault:shut"], name: Größe}, {id: urn:example:other, name: "Ä", scopes: ['a', b:c]}]
clients:
  - {id: shop, name: Größe, kind: public, redirect_uris: [http://localhost:3000/callback, com.example.shop:/done], origins: [http://localhost:3000],
     apis: {urn:example:vault: [vault:open:now], "urn:example:other": [b:c]}, serves: [urn:example:vault]}
users: [{login: ada:b@example.com, password: correct-horse:battery:staple}]
`, "")
	must(t, err)
	c, err := h.Client(t.Context(), "shop")
	must(t, err)
	if !slices.Equal(c.RedirectURIs, []string{"http://localhost:3000/callback", "com.example.shop:/done"}) ||
		!slices.Equal(c.Origins, []string{"http://localhost:3000"}) || !slices.Equal(c.APIs["urn:example:vault"], []string{"vault:open:now"}) ||
		!slices.Equal(c.APIs["urn:example:other"], []string{"b:c"}) || !slices.Equal(c.Serves, []string{"urn:example:vault"}) {
		t.Errorf("client: %+v", c)
	}
	u, err := h.User(t.Context(), "ada:b@example.com")
	must(t, err)
	if !h.verifies(t, u.ID, "correct-horse:battery:staple") {
		t.Error("the password is not the one declared")
	}
	for _, text := range []string{"clients: [{id:shop, kind: public}]", "apis: [{id: a, scopes: [{orders: read}]}]", "apis: [{id: a, scopes: [orders: read]}]"} {
		_, err := h.apply(t, text, "")
		wantCode(t, err, fault.Invalid)
	}
}
