package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var tokenOf = regexp.MustCompile(`(?m)^\s+([A-Za-z0-9_-]{22})$`)

// ADMIN-001
func TestFirstAdministratorIsMadeOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	r := serve(t, data, "--log-level", "debug")
	m := tokenOf.FindStringSubmatch(r.out.String())
	if m == nil {
		t.Fatalf("no one-time token is offered:\n%s", r.out)
	}
	token := m[1]
	redeem := func(token string, i int) hit {
		code, browser := r.pageForm("/setup")
		return formOf("/setup", fields("csrf", code, "token", token, "login", fmt.Sprintf("boss%02d@example.com", i), "password", attackPhrase), browser)
	}
	for i, wrong := range []string{"", "x", strings.Repeat("A", 22), token[:21], token + "A", strings.ToLower(token)} {
		res, err := r.fire(redeem(wrong, 90+i))
		if err != nil || wrong != token && res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusBadRequest {
			t.Errorf("token %q: %v %d", wrong, err, res.StatusCode)
		}
	}
	r.must(http.StatusForbidden, formOf("/setup", fields("token", token, "login", "boss98@example.com", "password", attackPhrase))) // no form of ours
	hits := make([]hit, 50)
	for i := range hits {
		hits[i] = redeem(token, i)
	}
	var mu sync.Mutex
	won := -1
	var bad findings
	storm(len(hits), func(i int) {
		res, err := r.alone(hits[i])
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			bad.add("%v", err)
		case res.StatusCode == http.StatusSeeOther && won >= 0:
			bad.add("both %d and %d became the first administrator", won, i)
		case res.StatusCode == http.StatusSeeOther:
			won = i
		case res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusServiceUnavailable:
			bad.add("redemption %d: %d %s", i, res.StatusCode, res.text)
		}
	})
	bad.report(t)
	var users []struct{ Login string }
	if err := json.Unmarshal([]byte(mustWafer(t, "", "--data", data, "--json", "user", "list")), &users); err != nil {
		t.Fatal(err)
	}
	if won < 0 || len(users) != 1 || users[0].Login != fmt.Sprintf("boss%02d@example.com", won) {
		t.Fatalf("winner %d, users %v", won, users)
	}
	r.must(http.StatusCreated, signingIn(users[0].Login, attackPhrase))
	r.must(http.StatusNotFound, get("/setup"))
	r.must(http.StatusNotFound, hits[49])
	if strings.Count(r.out.String(), token) != 1 {
		t.Error("the one-time token is in the log, too")
	}
	r.stop()
	again := serve(t, data)
	again.must(http.StatusNotFound, get("/setup?token="+token))
	if tokenOf.MatchString(again.out.String()) {
		t.Errorf("another token is offered after the restart:\n%s", again.out)
	}
	// Nobody wins by having the only administrator removed or shut out.
	for _, args := range [][]string{{"remove", users[0].Login}, {"edit", users[0].Login, "--disable"}, {"edit", users[0].Login, "--no-roles"}} {
		if _, errs, code := wafer(t, "", append([]string{"--data", data, "user"}, args...)...); code != 1 || !strings.Contains(errs, "last enabled administrator") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	again.must(http.StatusCreated, signingIn(users[0].Login, attackPhrase))
}

// ADMIN-005, ADMIN-007
func TestSecretsCannotBeReadBack(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	manager := bearer(r.manager())
	made := r.must(http.StatusCreated, jsonOf(http.MethodPost, "/api/v1/clients", map[string]any{"id": "fresh", "kind": "confidential", "grants": []string{"client_credentials"}, "apis": map[string][]string{inventoryAPI: {"inventory:read"}}}, manager)).str("secret")
	hmac := r.must(http.StatusOK, hit{method: http.MethodPost, path: "/api/v1/apis/" + strings.ReplaceAll(inventoryAPI, "/", "%2F") + "/secret", header: [][2]string{manager}}).str("secret")
	if made == "" || hmac == "" {
		t.Fatal("no secret was shown the one time it exists")
	}
	r.must(http.StatusOK, formOf("/oauth/token", fields("grant_type", "client_credentials", "client_id", "fresh", "client_secret", made)))
	r.must(http.StatusConflict, hit{method: http.MethodPost, path: "/api/v1/apis/" + strings.ReplaceAll(inventoryAPI, "/", "%2F") + "/secret", header: [][2]string{manager}})
	kids := kidsOf(t, r)
	paths := []string{"/users", "/users/root@example.com", "/clients", "/clients/fresh", "/clients/watch", "/apis", "/roles", "/keys", "/audit", "/sessions?user=root@example.com", "/openapi.json"}
	for _, kid := range kids {
		paths = append(paths, "/keys/"+kid)
	}
	private := regexp.MustCompile(`"(d|p|q|dp|dq|qi|k|secret|sealed|password|password_hash|secret_hash|hash)":\s*"`)
	for _, path := range paths {
		text := r.must(http.StatusOK, get("/api/v1"+path, manager)).text
		for _, secret := range []string{made, hmac, clientSecrets, attackPhrase, "$argon2", manager[1][7:]} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %.9s...", path, secret)
			}
		}
		if m := private.FindString(text); m != "" {
			t.Errorf("%s has a member %s", path, m)
		}
	}
	jwks := r.must(http.StatusOK, get("/.well-known/jwks.json")).text
	if private.MatchString(jwks) || strings.Contains(jwks, "HS256") || strings.Contains(jwks, `"oct"`) {
		t.Errorf("the key set tells too much: %s", jwks)
	}
	// What is secret cannot be searched or sorted by, either.
	for _, query := range []string{"password_hash=%24argon2", "sort=password_hash", "secret=x", "limit=0", "limit=-1", "limit=1e9"} {
		r.must(http.StatusBadRequest, get("/api/v1/users?"+query, manager))
	}
	for _, header := range [][2]string{bearer(r.visit(person(0)).access), bearer("x"), cookie(r.visit(person(0)).cookie), {"Authorization", "Basic cm9vdDpyb290"}} {
		for _, path := range paths {
			r.must(http.StatusUnauthorized, get("/api/v1"+path, header))
		}
	}
	r.must(http.StatusOK, get("/api/v1/users", manager))
}

// kidsOf lists the ids of all keys.
func kidsOf(t *testing.T, r *running) []string {
	t.Helper()
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(mustWafer(t, "", "--data", r.data, "--json", "key", "list")), &all); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(all))
	for _, k := range all {
		ids = append(ids, k.ID)
	}
	return ids
}

// ADMIN-004: a person without the role gets no management token and cannot write
// one for themselves into their account.
func TestOrdinaryPeopleDoNotBecomeAdministrators(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	ask := func(login string) hit {
		return jsonOf(http.MethodPost, "/session", map[string]string{"login": login, "password": attackPhrase, "client_id": "console", "api": "management"})
	}
	r.must(http.StatusCreated, ask("root@example.com"))
	v := r.visit(person(0))
	for name, h := range map[string]hit{
		"sign in": ask(person(0)), "swap": jsonOf(http.MethodPost, "/session/token", map[string]string{"client_id": "console", "api": "management"}, v.in()),
		"swap by audience":   jsonOf(http.MethodPost, "/session/token", map[string]string{"client_id": "console", "api": r.url + "/api/v1"}, v.in()),
		"more members":       jsonOf(http.MethodPost, "/session", map[string]any{"login": person(0), "password": attackPhrase, "roles": []string{"admin"}}),
		"role with a swap":   jsonOf(http.MethodPost, "/session/token", map[string]any{"client_id": "shop-web", "api": ordersAPI, "roles": []string{"admin"}}, v.in()),
		"role with a phrase": jsonOf(http.MethodPost, "/account/password", map[string]any{"current": attackPhrase, "new": "eight purple bottles on a wall", "roles": []string{"admin"}}, v.in()),
		"own account":        jsonOf(http.MethodPatch, "/api/v1/users/"+v.user, map[string]any{"roles": []string{"admin"}}, v.in()),
		"refresh, widened":   formOf("/oauth/token", fields("grant_type", "refresh_token", "client_id", "shop-web", "refresh_token", v.refresh, "resource", "management")),
		"refresh, scope":     formOf("/oauth/token", fields("grant_type", "refresh_token", "client_id", "shop-web", "refresh_token", v.refresh, "scope", "users:write")),
	} {
		res, err := r.fire(h)
		if err != nil || res.StatusCode/100 != 4 || strings.Contains(res.text, "access_token") {
			t.Errorf("%s: %v %d %s", name, err, res.StatusCode, res.text)
		}
	}
	var u struct{ Roles []string }
	if err := json.Unmarshal([]byte(mustWafer(t, "", "--data", r.data, "--json", "user", "show", person(0))), &u); err != nil || len(u.Roles) != 1 {
		t.Errorf("roles are %v: %v", u.Roles, err)
	}
	r.lively(v, nil)
	r.must(http.StatusCreated, ask("root@example.com"))
}

// ADMIN-012
func TestThereAreNoDebugSurfaces(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/metrics", "/vars", "/swagger", "/.git/HEAD", "/.env", "/wafer.db", "/master.key", "/static/", "/static/..%2f..%2fmaster.key", "/static/../../master.key", "/api/v1", "/api", "/admin", "/oauth/authorize/debug", "/server-status"} {
		res, err := r.fire(get(path, v.in()))
		if err != nil || res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusUnauthorized && res.StatusCode/100 != 3 || res.Header.Get("Server") != "" || res.Header.Get("X-Powered-By") != "" {
			t.Errorf("%s: %v %d %v", path, err, res.StatusCode, res.Header)
		}
	}
	r.lively(v, nil)
}
