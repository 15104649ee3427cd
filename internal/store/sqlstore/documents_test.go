package sqlstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

// What is on disk was written by every release so far: a name that changes here
// is a field that older databases lose.
func TestDocumentsKeepTheirNames(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 8, 1, 14, 0, 0, 123_456_789, time.FixedZone("CEST", 2*60*60))
	dates := `"created_at":"2026-08-01T12:00:00.123456Z","updated_at":"0001-01-01T00:00:00Z"`
	one := func(body string, err error) string {
		if err != nil {
			t.Error(err)
		}
		return body
	}
	for name, c := range map[string]struct{ got, want string }{
		"user": {
			one(sqlstore.UserBody(account.User{ID: "id", Login: "Ada", Canonical: "ada", Name: "n", PasswordHash: "h", PasswordChangedAt: at,
				Roles: []string{"r"}, Disabled: true, CreatedAt: at, Version: 1})),
			`{"login":"Ada","name":"n","password_changed_at":"2026-08-01T12:00:00.123456Z","roles":["r"],"disabled":true,` + dates + `}`,
		},
		"client": {
			one(sqlstore.ClientBody(client.Client{ID: "id", Name: "n", Kind: client.Public, FirstParty: true, SecretHash: opaque.Digest{1},
				RedirectURIs: []string{"u"}, Grants: []string{}, APIs: map[string][]string{"a": {"s"}}, Serves: []string{"b"}, CreatedAt: at, Version: 1})),
			`{"name":"n","kind":"public","first_party":true,"redirect_uris":["u"],"origins":null,"grants":[],"apis":{"a":["s"]},"serves":["b"],` +
				`"disabled":false,` + dates + `,"secret_hash":"AQ` + strings.Repeat("A", 41) + `="}`,
		},
		"API": {
			one(sqlstore.APIBody(api.API{ID: "id", Name: "n", Token: api.Token{Format: api.JWE, Alg: "EdDSA", Lifetime: time.Second,
				Encrypt: &api.Encrypt{Alg: "ECDH-ES", Enc: "A256GCM", JWK: []byte(`{"kty":"EC"}`)}}, Scopes: []string{"s"}, Stale: api.Open,
				CreatedAt: at, Version: 1})),
			`{"name":"n","scopes":["s"],"stale":"open","disabled":false,` + dates + `,"token":{"format":"jwe","alg":"EdDSA","lifetime_ns":1000000000},` +
				`"encrypt":{"alg":"ECDH-ES","enc":"A256GCM","jwk":{"kty":"EC"}}}`,
		},
		"role": {
			one(sqlstore.RoleBody(role.Role{ID: "id", Scopes: map[string][]string{"a": {"s"}}, CreatedAt: at, Version: 1})),
			`{"scopes":{"a":["s"]},` + dates + `}`,
		},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, c.got, c.want)
		}
	}
}

func TestOldSQLiteIsRefused(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"3.51.3": true, "3.51.4": true, "3.54.1": true, "3.52.0": true, "4.0.0": true, "3.51.10": true,
		"3.51.2": false, "3.50.9": false, "3.7.0": false, "3.51": false, "2.99.99": false, "": false,
	} {
		if got := sqlstore.Recent(version); got != want {
			t.Errorf("version %q: got %v, want %v", version, got, want)
		}
	}
}

// A query without an index is a query that a million sessions make slow.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir()+"/wafer.db")
	queries := append(sqlstore.Ends(), sqlstore.Snapshots...)
	queries = append(append(queries, sqlstore.Tables()...), sqlstore.NewestOf(7))
	for _, query := range queries {
		steps, err := s.Plan(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) == 0 {
			t.Errorf("no plan for %s", query)
		}
		for _, step := range steps {
			if strings.HasPrefix(step, "SCAN ") && step != "SCAN tokens" && !strings.HasPrefix(step, "SCAN (subquery") {
				t.Errorf("%s\nreads all of a table: %s", query, step)
			}
		}
	}
}
