package manage_test

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/manage"
	"github.com/wafer-auth/wafer/verify/bound"
)

type object = map[string]any

const (
	orders  = "https://orders.example"
	escaped = "https:%2F%2Forders.example"
)

func TestUsersAreAddedChangedAndRemoved(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "users:read", "users:write")
	a := c.send("POST", "/users", object{"login": "Ada@Example.com", "name": "Ada", "password": good}).want(t, 201)
	id := a.text("id")
	if id == "" || a.text("login") != "Ada@Example.com" || a.body["has_password"] != true || a.body["version"] != 1.0 {
		t.Errorf("got %s", a.Body)
	}
	c.send("POST", "/users", object{"login": "ada@example.com"}).want(t, 409)
	c.send("POST", "/users", object{"login": "eve@example.com", "password": "short"}).want(t, 400)
	c.send("GET", "/users/"+id, nil).want(t, 200)
	c.send("GET", "/users/ada@example.com", nil).want(t, 200)
	b := c.send("PATCH", "/users/"+id, object{"name": "Ada L.", "disabled": true}).want(t, 200)
	if b.text("name") != "Ada L." || b.body["disabled"] != true || b.text("login") != "Ada@Example.com" {
		t.Errorf("got %s", b.Body)
	}
	c.send("DELETE", "/users/"+id, nil).want(t, 204)
	c.send("DELETE", "/users/"+id, nil).want(t, 404)
	c.send("GET", "/users/"+id, nil).want(t, 404)
	c.send("PATCH", "/users/"+id, object{"name": "x"}).want(t, 404)
}

func TestClientsAreAddedChangedAndRemoved(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.cli()
	c.send("POST", "/apis", object{"id": orders, "scopes": []string{"orders:read"}}).want(t, 201)
	in := object{
		"id": "billing", "kind": "confidential", "grants": []string{"client_credentials"}, "apis": object{orders: []string{"orders:read"}},
		"origins": []string{"https://billing.example"}, "serves": []string{orders},
	}
	a := c.send("POST", "/clients", in).want(t, 201)
	first := a.text("secret")
	if len(first) < 40 {
		t.Errorf("got %s", a.Body)
	}
	works := func(secret string) bool {
		_, err := g.grants.Authenticate(t.Context(), grant.Credentials{ID: "billing", Secret: secret})
		return err == nil
	}
	if !works(first) {
		t.Error("the shown secret does not work")
	}
	if b := c.send("GET", "/clients/billing", nil).want(t, 200); strings.Contains(b.Body.String(), first) || b.text("secret") != "" {
		t.Errorf("a secret is shown twice: %s", b.Body)
	}
	second := c.send("POST", "/clients/billing/secret", nil).want(t, 200).text("secret")
	third := c.send("POST", "/clients/billing/secret", object{"stolen": true}).want(t, 200).text("secret")
	if works(first) || works(second) || !works(third) {
		t.Error("an old secret works, or the new one does not")
	}
	own := strings.Repeat("own-secret-", 3)
	if b := c.send("PATCH", "/clients/billing", object{"name": "Billing", "secret": own}).want(t, 200); b.text("name") != "Billing" || strings.Contains(b.Body.String(), own) {
		t.Errorf("got %s", b.Body)
	}
	if !works(own) {
		t.Error("the given secret does not work")
	}
	c.send("PATCH", "/clients/billing", object{"apis": object{"https://nowhere.example": []string{"x"}}}).want(t, 400)
	c.send("DELETE", "/clients/billing", nil).want(t, 204)
	c.send("GET", "/clients/billing", nil).want(t, 404)
}

func TestAPIsAreNamedByTheirEscapedID(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "apis:read", "apis:write")
	a := c.send("POST", "/apis", object{"id": orders, "scopes": []string{"orders:read"}, "token": object{"lifetime": "90m"}}).want(t, 201)
	if a.text("audience") != orders || a.body["token"].(object)["lifetime"] != "1h30m" || a.body["token"].(object)["alg"] != "EdDSA" {
		t.Errorf("got %s", a.Body)
	}
	for _, id := range []string{escaped, url.PathEscape(orders), "https%3A%2F%2Forders.example"} {
		if b := c.send("GET", "/apis/"+id, nil).want(t, 200); b.text("id") != orders {
			t.Errorf("%s: got %s", id, b.Body)
		}
	}
	b := c.send("PATCH", "/apis/"+escaped, object{"token": object{"alg": "ES256"}, "stale": "strict"}).want(t, 200)
	if token := b.body["token"].(object); token["alg"] != "ES256" || token["lifetime"] != "1h30m" || b.text("stale") != "strict" {
		t.Errorf("a part of token that was not sent has changed: %s", b.Body)
	}
	for _, bad := range []object{
		{"token": object{"alg": "none"}}, {"token": object{"lifetime": "forever"}}, {"token": object{"lifetime": "25h"}}, {"stale": "never"},
		{"token": object{"format": "jwe"}}, {"id": "https://other.example"}, {"scopes": []string{"a b"}},
	} {
		c.send("PATCH", "/apis/"+escaped, bad).want(t, 400)
	}
	jwk := `{"kty":"EC","crv":"P-256","kid":"1","use":"enc","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	sealed := `{"token":{"format":"jwe","encrypt":{"alg":"ECDH-ES","enc":"A256GCM","jwk":` + jwk + `}}}`
	if b := c.send("PATCH", "/apis/"+escaped, sealed).want(t, 200); !strings.Contains(b.Body.String(), "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4") {
		t.Errorf("got %s", b.Body)
	}
	if b := c.send("PATCH", "/apis/"+escaped, object{"token": object{"format": "jwt"}}).want(t, 200); b.body["token"].(object)["encrypt"] != nil {
		t.Errorf("got %s", b.Body)
	}
	c.send("DELETE", "/apis/"+escaped, nil).want(t, 204)
	c.send("GET", "/apis/"+escaped, nil).want(t, 404)
	c.send("DELETE", "/apis/management", nil).want(t, 409)
}

func TestRolesAreAddedChangedAndRemoved(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "roles:read", "roles:write", "apis:write")
	c.send("POST", "/apis", object{"id": orders, "scopes": []string{"orders:read", "orders:write"}}).want(t, 201)
	c.send("POST", "/roles", object{"id": "clerk", "scopes": object{orders: []string{"orders:read"}}}).want(t, 201)
	c.send("POST", "/roles", object{"id": "clerk"}).want(t, 409)
	c.send("PATCH", "/roles/clerk", object{"scopes": object{orders: []string{"orders:write"}}}).want(t, 200)
	if a := c.send("GET", "/roles/clerk", nil).want(t, 200); !strings.Contains(a.Body.String(), "orders:write") {
		t.Errorf("got %s", a.Body)
	}
	c.send("DELETE", "/roles/clerk", nil).want(t, 204)
	c.send("DELETE", "/roles/clerk", nil).want(t, 404)
	c.send("DELETE", "/roles/admin", nil).want(t, 409)
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.cli()
	want := []string{}
	for _, id := range []string{"a1", "b2", "c3", "d4", "e5"} {
		c.send("POST", "/clients", object{"id": id, "kind": "public"}).want(t, 201)
		want = append(want, id)
	}
	var got []string
	after := ""
	for range 5 {
		a := c.send("GET", "/clients?limit=2&after="+url.QueryEscape(after), nil).want(t, 200)
		for _, row := range a.items() {
			got = append(got, row["id"].(string))
		}
		if after = a.text("next"); after == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if a := c.send("GET", "/users", nil).want(t, 200); strings.TrimSpace(a.Body.String()) != `{"items":[]}` {
		t.Errorf("an empty list is %s", a.Body)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=-1", "limit=2&limit=3", "sort=password_hash", "q=%zz", "filter=a", "after=%ff"} {
		c.send("GET", "/clients?"+query, nil).want(t, 400)
	}
	for _, path := range []string{"/audit", "/revocations"} {
		c.send("GET", path+"?after=x", nil).want(t, 400)
		c.send("GET", path+"?after=-1", nil).want(t, 400)
	}
	a := c.send("GET", "/audit?limit=3", nil).want(t, 200)
	if len(a.items()) != 3 || a.text("next") != "3" {
		t.Errorf("got %s", a.Body)
	}
	if b := c.send("GET", "/audit?limit=1&after=3", nil); b.items()[0]["seq"] != 4.0 || b.items()[0]["actor"] != "cli" && b.items()[0]["actor"] != "system" {
		t.Errorf("got %s", b.Body)
	}
}

func TestKeysAreRotatedAndRetired(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "keys:read", "keys:write", "apis:write")
	c.send("POST", "/apis", object{"id": orders, "scopes": []string{"orders:read"}}).want(t, 201)
	a := c.send("POST", "/keys/rotate", object{"api": orders}).want(t, 201)
	if a.text("state") != "announced" || a.text("api") != orders {
		t.Errorf("got %s", a.Body)
	}
	b := c.send("POST", "/keys/rotate", object{"api": orders, "now": true}).want(t, 201)
	if b.text("state") != "active" {
		t.Errorf("got %s", b.Body)
	}
	rows := c.send("GET", "/keys?api="+url.QueryEscape(orders), nil).want(t, 200).items()
	if len(rows) < 2 {
		t.Fatalf("got %v", rows)
	}
	for _, row := range rows {
		if row["api"] != orders {
			t.Errorf("got %v", row)
		}
	}
	dead := c.send("POST", "/keys/"+b.text("id")+"/retire", object{"compromised": true}).want(t, 200)
	if dead.text("state") != "removed" {
		t.Errorf("got %s", dead.Body)
	}
	c.send("GET", "/keys/key_nothing", nil).want(t, 404)
	c.send("POST", "/keys/key_nothing/retire", nil).want(t, 404)
	c.send("POST", "/keys/rotate", object{"api": "https://nowhere.example"}).want(t, 404)
}

func TestHMACSecretIsReadOnce(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "keys:write", "apis:write")
	c.send("POST", "/apis", object{"id": orders, "scopes": []string{"orders:read"}, "token": object{"alg": "HS256"}}).want(t, 201)
	a := c.send("POST", "/apis/"+escaped+"/secret", nil).want(t, 200)
	if len(a.text("secret")) != 43 || a.text("alg") != "HS256" || a.text("api") != orders {
		t.Errorf("got %s", a.Body)
	}
	if b := c.send("POST", "/apis/"+escaped+"/secret", nil).want(t, 409); strings.Contains(b.Body.String(), a.text("secret")) {
		t.Error("the secret is shown twice")
	}
	c.send("POST", "/apis/https:%2F%2Fnowhere.example/secret", nil).want(t, 404)
	c.send("POST", "/apis/management/secret", nil).want(t, 403)
	if strings.Contains(g.logged.String(), a.text("secret")) {
		t.Error("the secret is in the log")
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	u, err := g.admin.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "ada@example.com", Password: good})
	g.must(err)
	s, cookie, err := g.sessions.Start(t.Context(), session.Login{UserID: u.ID, AMR: []string{"pwd"}, Seen: bound.Seen{Address: netip.MustParseAddr("203.0.113.9")}})
	g.must(err)
	c := g.robot("robot", "sessions:read", "sessions:revoke")
	a := c.send("GET", "/sessions?user=ada@example.com", nil).want(t, 200)
	if rows := a.items(); len(rows) != 1 || rows[0]["id"] != s.ID || rows[0]["user"] != u.ID || rows[0]["address"] != "203.0.113.9" {
		t.Errorf("got %s", a.Body)
	}
	if strings.Contains(a.Body.String(), cookie) { // SESS-017
		t.Errorf("the cookie's value is shown: %s", a.Body)
	}
	c.send("GET", "/sessions", nil).want(t, 400)
	c.send("GET", "/sessions?user=nobody", nil).want(t, 404)
	c.send("DELETE", "/sessions/"+s.ID, nil).want(t, 204)
	c.send("DELETE", "/sessions/"+s.ID, nil).want(t, 404)
	if _, _, found, _ := g.sessions.Find(t.Context(), cookie, bound.Seen{}); found {
		t.Error("the session lives on")
	}
}

func TestRevocationsAnswerWithTheirPosition(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, person := g.person("ada@example.com", "admin")
	person.send("GET", "/users", nil).want(t, 200)
	c := g.robot("robot", "sessions:revoke", "feed:read")
	for _, bad := range []object{
		{}, {"user": "ada@example.com", "session": "ses_x"}, {"user": "ada@example.com", "ack": "maybe"}, {"session": "x"}, {"token": "x y"},
	} {
		c.send("POST", "/revocations", bad).want(t, 400)
	}
	c.send("POST", "/revocations", object{"user": "nobody"}).want(t, 404)
	for _, beyond := range []object{{"client": "console"}, {"key": "key_x"}, {"api": "management"}} {
		c.send("POST", "/revocations", beyond).want(t, 403)
	}
	person.send("GET", "/users", nil).want(t, 200)
	a := c.send("POST", "/revocations", object{"user": "ada@example.com", "ack": "durable", "reason": "ban"}).want(t, 200)
	if a.text("ack") != "durable" || a.body["seq"].(float64) < 1 || a.body["took_ms"] == nil {
		t.Errorf("got %s", a.Body)
	}
	person.send("GET", "/users", nil).want(t, 401)
	log := c.send("GET", "/revocations", nil).want(t, 200)
	rows := log.items()
	if last := rows[len(rows)-1]; last["kind"] != "user" || last["reason"] != "ban" || last["seq"] != a.body["seq"] {
		t.Errorf("got %s", log.Body)
	}
}

func TestTokensAreExplained(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "sessions:check")
	a := c.send("POST", "/tokens/inspect", manage.TokenQuestion{Token: c.token}).want(t, 200)
	if a.text("kind") != "access token" || a.body["checks"] == nil {
		t.Errorf("got %s", a.Body)
	}
	c.send("POST", "/tokens/inspect", object{}).want(t, 400)
	for _, junk := range []string{"x", "a.b.c", "....", strings.Repeat(".", 10_000)} {
		c.send("POST", "/tokens/inspect", object{"token": junk}).want(t, 200)
	}
	if strings.Contains(g.logged.String(), c.token) {
		t.Error("the token is in the log")
	}
}

func TestSetUpIsAppliedAndStaysApplied(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "apis:write", "clients:write", "roles:write", "users:write")
	text := "apis:\n  - id: " + orders + "\n    scopes: [orders:read]\n"
	a := c.send("POST", "/apply", manage.NewApply{YAML: text}).want(t, 200)
	if changes, _ := a.body["changes"].([]any); len(changes) == 0 {
		t.Errorf("got %s", a.Body)
	}
	if b := c.send("POST", "/apply", manage.NewApply{YAML: text}).want(t, 200); len(b.body["changes"].([]any)) != 0 {
		t.Errorf("the second time changed %s", b.Body)
	}
	c.send("POST", "/apply", manage.NewApply{YAML: "apis: 1"}).want(t, 400)
	c.send("POST", "/apply", manage.NewApply{YAML: "nothing: here"}).want(t, 400)
	big := "# " + strings.Repeat("x", 200_000) + "\n" + text
	c.send("POST", "/apply", manage.NewApply{YAML: big}).want(t, 200)
}

// A text from afar never has the server read its own files.
func TestAppliedSetUpReadsNoFilesForStrangers(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	dir := t.TempDir()
	g.must(os.WriteFile(filepath.Join(dir, "secret"), []byte(strings.Repeat("from-a-file-", 3)), 0o600))
	text := "clients:\n  - id: thief\n    kind: confidential\n    secret_file: " + filepath.Join(dir, "secret") + "\n"
	c := g.robot("robot", "*")
	c.send("POST", "/apply", manage.NewApply{YAML: text}).want(t, 400)
	c.send("POST", "/apply", manage.NewApply{YAML: text, Dir: dir}).want(t, 400)
	if _, found, _ := g.store.ClientByID(t.Context(), "thief"); found {
		t.Error("the file was read")
	}
	g.cli().send("POST", "/apply", manage.NewApply{YAML: text, Dir: dir}).want(t, 200)
}

func TestOpenAPITellsOfEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.robot("robot", "users:read").send("GET", "/openapi.json", nil).want(t, 200)
	if a.text("openapi") != "3.1.0" {
		t.Fatalf("got %s", a.Body)
	}
	paths, _ := a.body["paths"].(object)
	for path, methods := range paths {
		for method, row := range methods.(object) {
			r := httptest.NewRequest(strings.ToUpper(method), "/api/v1"+strings.NewReplacer("{id}", "x", "{kid}", "x").Replace(path), nil)
			r.Host = "auth.example"
			if b := g.do(r); b.Code != 401 {
				t.Errorf("%s %s: got %d", method, path, b.Code)
			}
			if row.(object)["summary"] == "" || row.(object)["security"] == nil {
				t.Errorf("%s %s: %v", method, path, row)
			}
		}
	}
	g.forward(time.Second)
}
