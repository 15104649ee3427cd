package manage_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/web/manage"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

func TestEveryRouteRefusesWhoeverHasNoToken(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	_, cookie, err := g.sessions.Start(t.Context(), session.Login{UserID: "usr_x"})
	g.must(err)
	for _, row := range manage.Routes() {
		path := strings.NewReplacer("{id}", "x", "{kid}", "x").Replace(row.Path)
		for name, change := range map[string]func(*http.Request){
			"nothing":         func(*http.Request) {},
			"cookie":          func(r *http.Request) { r.Header.Set("Cookie", middleware.CookieName+"="+cookie) },
			"token in URL":    func(r *http.Request) { r.URL.RawQuery = "access_token=" + g.robotToken() },
			"basic":           func(r *http.Request) { r.SetBasicAuth("x", "y") },
			"empty bearer":    func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
			"junk":            func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc") },
			"cookie as token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+cookie) },
			"claimed local":   func(r *http.Request) { r.Header.Set("X-Wafer-Local", "true"); r.RemoteAddr = "127.0.0.1:1" },
		} {
			r := httptest.NewRequest(row.Method, "/api/v1"+path, strings.NewReader("{}"))
			r.Host = "auth.example"
			r.Header.Set("Content-Type", "application/json")
			change(r)
			a := g.do(r)
			if a.Code != 401 || !strings.HasPrefix(a.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s %s with %s: got %d %v", row.Method, row.Path, name, a.Code, a.Header().Get("WWW-Authenticate"))
			}
			if sent := name == "junk" || name == "cookie as token"; strings.Contains(a.Header().Get("WWW-Authenticate"), "error=") != sent {
				t.Errorf("%s: challenge %q", name, a.Header().Get("WWW-Authenticate")) // RFC 6750 section 3.1
			}
		}
	}
}

// robotToken makes a full token once for each rig.
func (g rig) robotToken() string {
	if _, found, _ := g.store.ClientByID(g.t.Context(), "full"); found {
		return "spent"
	}
	return g.robot("full", "*").token
}

// Each scope opens its rows and no other: a token with every scope but those of
// the row is refused, one with just those is not.
func TestEveryRouteAsksForItsScopes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, row := range manage.Routes() {
		if len(row.Scopes) == 0 {
			if row.Path != "/openapi.json" {
				t.Errorf("%s %s asks for no scope", row.Method, row.Path)
			}
			continue
		}
		path := strings.NewReplacer("{id}", "x", "{kid}", "x").Replace(row.Path)
		var others []string
		for _, s := range api.ManagementScopes {
			if s != row.Scopes[0] {
				others = append(others, s)
			}
		}
		name := strings.NewReplacer("/", "-", "{", "", "}", "").Replace(row.Method + row.Path)
		a := g.robot("others"+name, others...).send(row.Method, path, nil).want(t, 403)
		if want := `scope="` + strings.Join(row.Scopes, " ") + `"`; !strings.Contains(a.Header().Get("WWW-Authenticate"), want) {
			t.Errorf("%s %s: challenge %q, want %s", row.Method, row.Path, a.Header().Get("WWW-Authenticate"), want)
		}
		if b := g.robot("own"+name, row.Scopes...).send(row.Method, path, nil); b.Code == 401 || strings.Contains(b.Header().Get("WWW-Authenticate"), "insufficient_scope") {
			t.Errorf("%s %s: got %d %s", row.Method, row.Path, b.Code, b.Body)
		}
	}
}

func TestTokensThatAreNoManagementTokensAreRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	u, person := g.person("ada@example.com", "admin")
	person.send("GET", "/users", nil).want(t, 200)
	two := httptest.NewRequest("GET", "/api/v1/users", nil)
	two.Host = "auth.example"
	two.Header["Authorization"] = []string{"Bearer " + person.token, "Bearer " + person.token}
	g.do(two).want(t, 400)
	g.cli().send("POST", "/apis", object{"id": orders, "scopes": []string{"users:read"}}).want(t, 201)
	g.cli().send("POST", "/roles", object{"id": "odd", "scopes": object{orders: []string{"users:read"}}}).want(t, 201)
	parts := strings.Split(person.token, ".")
	for name, token := range map[string]string{
		"cut": person.token[:len(person.token)-5], "no signature": parts[0] + "." + parts[1] + ".", "other payload": parts[0] + ".e30." + parts[2],
		"none": "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + ".",
	} {
		if a := (caller{rig: g, token: token}).send("GET", "/users", nil); a.Code != 401 {
			t.Errorf("%s: got %d", name, a.Code)
		}
	}
	_, err := g.admin.EditUser(t.Context(), admin.ByCLI(), u.ID, admin.UserEdit{Name: ptr("Ada")})
	g.must(err)
	person.send("GET", "/users", nil).want(t, 200)
	_, second := g.person("bob@example.com", "admin")
	second.send("GET", "/users", nil).want(t, 200)
	_, err = g.sessions.EndAll(t.Context(), u.ID, "cli", "ban")
	g.must(err)
	person.send("GET", "/users", nil).want(t, 401)
	g.forward(6 * time.Minute)
	second.send("GET", "/users", nil).want(t, 401)
}

func ptr[T any](v T) *T { return &v }

func TestLocalSocketIsTheCLI(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.cli().send("POST", "/users", object{"login": "ada@example.com", "roles": []string{"admin"}}).want(t, 201)
	rows := g.cli().send("GET", "/audit?limit=1000", nil).want(t, 200).items()
	if last := rows[len(rows)-1]; last["actor"] != "cli" || last["action"] != "user.add" {
		t.Errorf("got %v", last)
	}
}

// ADMIN-004
func TestDelegatedAdministratorCannotClimb(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	ctx, by := t.Context(), admin.ByCLI()
	_, err := g.admin.AddRole(ctx, by, role.Role{ID: "helpdesk", Scopes: map[string][]string{api.Management: {
		"users:read", "users:write", "roles:read", "roles:write", "clients:read", "clients:write", "apis:write", "keys:write",
	}}})
	g.must(err)
	owner, _ := g.person("owner@example.com", "admin")
	me, c := g.person("help@example.com", "helpdesk")
	added := c.send("POST", "/users", object{"login": "new@example.com", "password": good}).want(t, 201)
	c.send("PATCH", "/users/"+added.text("id"), object{"password": "another-long-pass-phrase"}).want(t, 200)
	for name, try := range map[string]func() answer{
		"give oneself a role":   func() answer { return c.send("PATCH", "/users/"+me.ID, object{"roles": []string{"admin", "helpdesk"}}) },
		"give another the role": func() answer { return c.send("PATCH", "/users/"+added.text("id"), object{"roles": []string{"admin"}}) },
		"add an administrator": func() answer {
			return c.send("POST", "/users", object{"login": "x@example.com", "roles": []string{"admin"}})
		},
		"reset the owner": func() answer {
			return c.send("PATCH", "/users/"+owner.ID, object{"password": "another-long-pass-phrase"})
		},
		"rename the owner":  func() answer { return c.send("PATCH", "/users/"+owner.ID, object{"login": "x@example.com"}) },
		"disable the owner": func() answer { return c.send("PATCH", "/users/"+owner.ID, object{"disabled": true}) },
		"remove the owner":  func() answer { return c.send("DELETE", "/users/"+owner.ID, nil) },
		"make a client of it all": func() answer {
			return c.send("POST", "/clients", object{"id": "all", "kind": "confidential", "grants": []string{"client_credentials"}, "apis": object{"management": []string{"*"}}})
		},
		"make a role of it all": func() answer {
			return c.send("POST", "/roles", object{"id": "all", "scopes": object{"management": []string{"*"}}})
		},
		"widen one's role": func() answer {
			return c.send("PATCH", "/roles/helpdesk", object{"scopes": object{"management": []string{"*"}}})
		},
		"change how tokens are":   func() answer { return c.send("PATCH", "/apis/management", object{"token": object{"alg": "HS256"}}) },
		"read the API's own key":  func() answer { return c.send("POST", "/apis/management/secret", nil) },
		"by the API's other name": func() answer { return c.send("POST", "/apis/https:%2F%2Fauth.example%2Fapi%2Fv1/secret", nil) },
		"take the console's shape": func() answer {
			return c.send("PATCH", "/clients/console", object{"redirect_uris": []string{"https://evil.test/"}})
		},
		"secret of a strong client": func() answer {
			g.robotToken()
			return c.send("POST", "/clients/full/secret", nil)
		},
	} {
		if a := try(); a.Code != 403 || len(a.body) != 2 {
			t.Errorf("%s: got %d %s", name, a.Code, a.Body)
		}
	}
	for name, body := range map[string]string{
		"id": `{"id":"usr_x"}`, "hash of another case": `{"Password_Hash":"x"}`, "admin flag": `{"is_admin":true}`, "version": `{"version":9}`,
		"twice": `{"name":"a","name":"b"}`, "null": `{"roles":null}`, "text for list": `{"roles":"admin"}`,
	} {
		if a := c.send("PATCH", "/users/"+added.text("id"), body); a.Code != 400 {
			t.Errorf("%s: got %d %s", name, a.Code, a.Body)
		}
	}
	after, err := g.admin.User(ctx, owner.ID)
	g.must(err)
	if after.Version != owner.Version {
		t.Error("the owner was changed")
	}
	c.send("PATCH", "/users/"+added.text("id"), object{"name": "New"}).want(t, 200)
}

// ADMIN-005, SESS-017: what is secret leaves in no answer but the one that shows
// it once.
func TestAnswersHoldNoSecretsOrHashes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.cli()
	c.send("POST", "/apis", object{"id": orders, "scopes": []string{"orders:read"}, "token": object{"alg": "HS256"}}).want(t, 201)
	shown := c.send("POST", "/apis/"+escaped+"/secret", nil).want(t, 200).text("secret")
	made := c.send("POST", "/clients", object{"id": "billing", "kind": "confidential"}).want(t, 201).text("secret")
	given := strings.Repeat("given-secret-", 3)
	c.send("POST", "/clients", object{"id": "other", "kind": "confidential", "secret": given}).want(t, 201)
	u := c.send("POST", "/users", object{"login": "ada@example.com", "password": good}).want(t, 201)
	_, cookie, err := g.sessions.Start(t.Context(), session.Login{UserID: u.text("id")})
	g.must(err)
	secrets := map[string]string{
		"HMAC secret": shown, "client secret": made, "given secret": given, "password": good, "cookie": cookie, "hash": "$argon2id$",
		"digest of a client": "secret_hash", "sealed key": "sealed", "private member": `"d":`, "symmetric member": `"k":`, "hash member": `"password_hash"`,
	}
	for _, row := range manage.Routes() {
		if row.Method != "GET" || row.Path == "/openapi.json" {
			continue
		}
		path := row.Path
		switch row.Path {
		case "/sessions":
			path += "?user=ada@example.com"
		case "/users/{id}":
			path = "/users/ada@example.com"
		case "/clients/{id}":
			path = "/clients/billing"
		case "/apis/{id}":
			path = "/apis/" + escaped
		case "/roles/{id}":
			path = "/roles/admin"
		case "/keys/{kid}":
			keys := c.send("GET", "/keys", nil).items()
			path = "/keys/" + keys[0]["id"].(string)
		}
		a := c.send("GET", path, nil).want(t, 200)
		for name, secret := range secrets {
			if strings.Contains(a.Body.String(), secret) {
				t.Errorf("%s holds the %s: %s", path, name, a.Body)
			}
		}
	}
	for name, secret := range secrets {
		if strings.Contains(g.logged.String(), secret) {
			t.Errorf("the log holds the %s", name)
		}
	}
}

// HTTP-008, HTTP-009
func TestHostileRequestsAreRefusedWithoutAFailure(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.cli()
	for _, row := range manage.Routes() {
		for _, id := range []string{"x", "..", "%00", "%ff", "%2e%2e%2fusers", strings.Repeat("a", 5000), "%25", "usr_", "''", "%0d%0a"} {
			path := strings.NewReplacer("{id}", id, "{kid}", id).Replace(row.Path)
			for _, body := range []string{"", "{}", "[]", "null", "{", `{"id":` + strings.Repeat("[", 5000), `"x"`, `{"login":1}`, "\x00", `{"id":"` + strings.Repeat("a", 60_000) + `"}`} {
				r, err := http.NewRequest(row.Method, "https://auth.example/api/v1"+path, strings.NewReader(body))
				if err != nil {
					continue
				}
				r.Header.Set("Content-Type", "application/json")
				r = r.WithContext(manage.Local(r.Context()))
				r.RemoteAddr = "203.0.113.9:1"
				w := httptest.NewRecorder()
				g.handler.ServeHTTP(w, r)
				if w.Code >= 500 {
					t.Errorf("%s %s %.30q: got %d %s", row.Method, path, body, w.Code, w.Body)
				}
			}
		}
	}
	for _, method := range []string{"TRACE", "PUT", "FROB"} {
		c.send(method, "/users", nil).want(t, 405)
	}
	for _, path := range []string{"/debug/pprof", "/swagger", "/.git/config", "/users/x/y", "/USERS"} {
		c.send("GET", path, nil).want(t, 404)
	}
}

func FuzzEditUser(f *testing.F) {
	for _, seed := range []string{`{"name":"a"}`, `{"roles":["admin"]}`, `{"login":"x","disabled":true}`, `{"password_hash":"$argon2id$"}`, `{"roles":[null]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		g := newRig(t)
		u, err := g.admin.AddUser(t.Context(), admin.ByCLI(), admin.NewUser{Login: "ada@example.com"})
		g.must(err)
		c := g.robot("robot", "users:write")
		a := c.send("PATCH", "/users/"+u.ID, body)
		after, err := g.admin.User(t.Context(), u.ID)
		g.must(err)
		if after.HasRole("admin") {
			t.Fatalf("%q made an administrator", body)
		}
		if a.Code != 200 && after.Version != u.Version {
			t.Fatalf("%q was refused (%d) and changed the user", body, a.Code)
		}
		if a.Code == 200 && !json.Valid([]byte(body)) {
			t.Fatalf("%q was accepted", body)
		}
	})
}
