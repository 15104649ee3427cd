package sqlstore_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/store"
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
		"user with a profile": {
			one(sqlstore.UserBody(account.User{Login: "Ada", Profile: account.Profile{GivenName: "A", EmailVerified: true, Address: []byte(`{"x":"<&>"}`)}})),
			`{"login":"Ada","name":"","profile":{"given_name":"A","email_verified":true,"address":{"x":"<&>"}},` +
				`"password_changed_at":"0001-01-01T00:00:00Z","roles":null,"disabled":false,"created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z"}`,
		},
		"client that registered itself": {
			one(sqlstore.ClientBody(client.Client{Kind: client.Confidential, OldSecretHash: opaque.Digest{1}, OldSecretUntil: at, Source: client.ByItself,
				RegistrationHash: opaque.Digest{1}, OAuth: client.OAuth{Profile: client.FAPI2, JWKS: []byte(`{ "keys": [] }`)}, CreatedAt: at})),
			`{"name":"","kind":"confidential","first_party":false,"redirect_uris":null,"origins":null,"grants":null,"apis":null,"serves":null,` +
				`"old_secret_until":"2026-08-01T12:00:00.123456Z","oauth":{"profile":"fapi2","jwks":{"keys":[]}},"source":"registration",` +
				`"disabled":false,` + dates + `,"old_secret_hash":"AQ` + strings.Repeat("A", 41) + `=","registration_hash":"AQ` + strings.Repeat("A", 41) + `="}`,
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

// What the release before wrote reads as it was meant, and is written on.
func TestDocumentsOfBeforeOAuthRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s store.Truth) {
		old, is := s.(interface {
			Do(context.Context, string) error
		})
		if !is {
			t.Skip("memory has no documents")
		}
		ctx := t.Context()
		for _, row := range []string{
			`INSERT INTO users (id, canonical, version, password_hash, body) VALUES ('ada', 'ada', 3, 'h', '{"login":"Ada","name":"n",` +
				`"password_changed_at":"2026-08-01T12:00:00Z","roles":[],"disabled":false,"created_at":"2026-08-01T12:00:00Z","updated_at":"2026-08-01T12:00:00Z"}')`,
			`INSERT INTO clients (id, version, body) VALUES ('web', 4, '{"name":"n","kind":"public","first_party":true,"redirect_uris":["u"],"origins":null,` +
				`"grants":["refresh_token"],"apis":{"a":["s"]},"serves":null,"disabled":false,"created_at":"2026-08-01T12:00:00Z","updated_at":"2026-08-01T12:00:00Z"}')`,
			// Its statement, which names no details.
			`INSERT INTO grants (id, session_id, user_id, client_id, api_id, scopes, created_at, expires_at, gen, rotated_at, replays)
				VALUES ('g1', 's1', 'ada', 'web', 'a', '["s"]', 0, 1, 5, 0, 2) ON CONFLICT DO NOTHING`,
		} {
			check(t, old.Do(ctx, row))
		}
		then := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
		wantUser := account.User{ID: "ada", Login: "Ada", Canonical: "ada", Name: "n", PasswordHash: "h", PasswordChangedAt: then, Roles: []string{},
			CreatedAt: then, UpdatedAt: then, Version: 3}
		wantClient := client.Client{ID: "web", Name: "n", Kind: client.Public, FirstParty: true, RedirectURIs: []string{"u"}, Grants: []string{"refresh_token"},
			APIs: map[string][]string{"a": {"s"}}, CreatedAt: then, UpdatedAt: then, Version: 4}
		zero := time.UnixMicro(0).UTC()
		wantGrant := grant.Grant{ID: "g1", SessionID: "s1", UserID: "ada", ClientID: "web", APIID: "a", Scopes: []string{"s"}, CreatedAt: zero,
			ExpiresAt: zero.Add(time.Microsecond), Gen: 5, RotatedAt: zero, Replays: 2}
		read := func() {
			t.Helper()
			st, err := s.Snapshot(ctx, grant.Query{GrantID: "g1"})
			check(t, err)
			for what, pair := range map[string][2]any{"user": {*st.User, wantUser}, "client": {*st.Client, wantClient}, "grant": {*st.Grant, wantGrant}} {
				if !reflect.DeepEqual(pair[0], pair[1]) {
					t.Errorf("%s:\n got %+v\nwant %+v", what, pair[0], pair[1])
				}
			}
		}
		read()
		wantUser.Profile.Email, wantClient.OAuth.RequirePAR, wantGrant.Gen = "ada@example.com", true, 6
		for _, change := range []func() (bool, error){
			func() (bool, error) { return s.ChangeUser(ctx, wantUser, revoke.Effects{}) },
			func() (bool, error) { return s.ChangeClient(ctx, wantClient, revoke.Effects{}) },
			func() (bool, error) {
				return true, s.ChangeGrant(ctx, "g1", func(grant.State) grant.Change { return grant.Change{Next: &wantGrant} })
			},
		} {
			if ok, err := change(); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		wantUser.Version, wantClient.Version = 4, 5
		read()
	})
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
	queries = append(queries, sqlstore.Protocols...)
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
