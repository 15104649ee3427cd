package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// wayIn is one path on which a person gets at something.
type wayIn struct {
	name  string
	works func(r, service *running, v visitor, opaque string) bool
}

func status(r *running, want int, h hit) bool {
	r.t.Helper()
	res, err := r.fire(h)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode >= 500 {
		r.t.Errorf("%s %s: %d %s", h.method, h.path, res.StatusCode, res.text)
	}
	return res.StatusCode == want
}

// waysOf are all ways in that use what a login gave before.
var waysOf = []wayIn{
	{"cookie", func(r, _ *running, v visitor, _ string) bool { return status(r, 200, get("/session", v.in())) }},
	{"own sessions", func(r, _ *running, v visitor, _ string) bool { return status(r, 200, get("/sessions", v.in())) }},
	{"account page", func(r, _ *running, v visitor, _ string) bool { return status(r, 200, get("/account", v.in())) }},
	{"swap", func(r, _ *running, v visitor, _ string) bool { return status(r, 200, swapping(v, ordersAPI)) }},
	{"swap for an opaque token", func(r, _ *running, v visitor, _ string) bool { return status(r, 200, swapping(v, mailAPI)) }},
	{"JWT, introspected", func(r, _ *running, v visitor, _ string) bool { return r.active(v.access, "") }},
	{"opaque token, introspected", func(r, _ *running, _ visitor, opaque string) bool { return r.active(opaque, "") }},
	{"cookie, introspected", func(r, _ *running, v visitor, _ string) bool { return r.active(v.cookie, ordersAPI) }},
	{"orders with the cookie", func(_, s *running, v visitor, _ string) bool { return status(s, 200, get("/orders", v.in())) }},
	{"orders with the JWT", func(_, s *running, v visitor, _ string) bool { return status(s, 200, get("/orders", bearer(v.access))) }},
	{"password change", func(r, _ *running, v visitor, _ string) bool {
		// The current password again: reached only by who may change it at all.
		return status(r, 400, jsonOf(http.MethodPost, "/account/password", map[string]string{"current": attackPhrase, "new": attackPhrase}, v.in()))
	}},
	{"refresh", func(r, _ *running, v visitor, _ string) bool { return status(r, 200, refreshing(v.refresh)) }},
}

// LOGIN-013: every state that shuts an account shuts it on every path.
func TestShutAccountIsShutOnEveryPath(t *testing.T) {
	t.Parallel()
	r := besieged(t, 8, behindProxy...)
	service := r.ordersService()
	bystander := r.visit(person(7), outside(700))
	for i, tc := range []struct {
		name         string
		shut         func(login string)
		stillSignsIn bool // the password, as it was, still opens a new session
	}{
		{name: "disabled", shut: func(l string) { mustWafer(t, "", "--data", r.data, "user", "edit", l, "--disable") }},
		{name: "removed", shut: func(l string) { mustWafer(t, "", "--data", r.data, "user", "remove", l) }},
		{name: "password reset", shut: func(l string) {
			mustWafer(t, "a new phrase nobody knows yet 7\n", "--data", r.data, "user", "password", l, "--password-stdin")
		}},
		{name: "revoked", stillSignsIn: true, shut: func(l string) { mustWafer(t, "", "--data", r.data, "revoke", "--user", l) }},
		{name: "signed out everywhere", stillSignsIn: true, shut: func(l string) {
			v := r.visit(l, outside(800))
			code := r.pageFormNamed("/account", "/account/end-all", v.in())
			r.must(http.StatusSeeOther, formOf("/account/end-all", fields("csrf", code), v.in(), ownPage))
		}},
		{name: "disabled in the file", shut: func(l string) {
			file := write(t, t.TempDir(), "more.yaml", "users:\n  - {login: "+l+", disabled: true}\n")
			mustWafer(t, "", "--data", r.data, "apply", "-f", file)
		}},
	} {
		login := person(i)
		v := r.visit(login, outside(i))
		opaque := r.must(http.StatusOK, swapping(v, mailAPI)).str("access_token")
		for _, way := range waysOf {
			if !way.works(r, service, v, opaque) {
				t.Errorf("%s: %s does not work before", tc.name, way.name)
			}
		}
		v.refresh = r.must(http.StatusOK, refreshing(v.refresh)).str("refresh_token")
		tc.shut(login)
		for _, way := range waysOf {
			if way.works(r, service, v, opaque) {
				t.Errorf("%s: %s still works", tc.name, way.name)
			}
		}
		in := status(r, http.StatusCreated, signingIn(login, attackPhrase, outside(100+i)))
		withTokens := status(r, http.StatusCreated, jsonOf(http.MethodPost, "/session", map[string]string{"login": login, "password": attackPhrase, "client_id": "shop-web", "api": ordersAPI}, outside(200+i)))
		code, browser := r.pageForm("/login")
		page := status(r, http.StatusSeeOther, formOf("/login", fields("csrf", code, "login", login, "password", attackPhrase), browser, outside(300+i)))
		known := status(r, http.StatusCreated, signingIn(login, attackPhrase, [2]string{"Cookie", "__Host-Http-wafer-device=" + v.device}, outside(400+i)))
		for path, works := range map[string]bool{"JSON": in, "JSON with tokens": withTokens, "page": page, "known device": known} {
			if works != tc.stillSignsIn {
				t.Errorf("%s: signing in by %s: %v, want %v", tc.name, path, works, tc.stillSignsIn)
			}
		}
	}
	r.lively(bystander, service)
	// Let in again, the person signs in anew; what was ended stays ended.
	old := r.visit(person(6), outside(600))
	mustWafer(t, "", "--data", r.data, "user", "edit", person(6), "--disable")
	mustWafer(t, "", "--data", r.data, "user", "edit", person(6), "--enable")
	r.dead(old, service)
	r.lively(r.visit(person(6), outside(601)), service)
}

// pageFormNamed returns the code of the form with this action.
func (r *running) pageFormNamed(path, action string, header ...[2]string) (code string) {
	r.t.Helper()
	res := r.must(http.StatusOK, get(path, header...))
	_, rest, found := strings.Cut(res.text, `action="`+action+`"`)
	m := codeOf.FindStringSubmatch(rest)
	if !found || m == nil {
		r.t.Fatalf("%s has no form for %s:\n%s", path, action, res.text)
	}
	return m[1]
}

// LOGIN-013: what the person may do shrinks on every path, too.
func TestRolesTakenAwayAreGoneOnEveryPath(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	service := r.ordersService()
	v, other := r.lively(r.visit(person(0)), service), r.visit(person(1))
	mustWafer(t, "", "--data", r.data, "user", "edit", person(0), "--no-roles")
	service.must(http.StatusUnauthorized, get("/orders", bearer(v.access)))
	service.must(http.StatusForbidden, get("/orders", v.in()))
	r.must(http.StatusBadRequest, swapping(v, ordersAPI))
	r.must(http.StatusBadRequest, refreshing(v.refresh))
	r.must(http.StatusOK, get("/session", v.in()))
	r.lively(other, service)
	mustWafer(t, "", "--data", r.data, "user", "edit", person(0), "--role", "clerk")
	r.lively(r.visit(person(0)), service)
}

// LOGIN-013: a client that was shut gets and keeps nothing.
func TestShutClientIsShutOnEveryPath(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.lively(r.visit(person(0)), service)
	own := func() reply {
		res, err := r.fire(formOf("/oauth/token", fields("grant_type", "client_credentials", "client_id", "bystander", "client_secret", clientSecrets)))
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	token := own().str("access_token")
	if !r.active(token, "") {
		t.Fatal("the client's own token is not active before")
	}
	for _, id := range []string{"bystander", "shop-web"} {
		mustWafer(t, "", "--data", r.data, "client", "edit", id, "--disable")
	}
	if res := own(); res.StatusCode != http.StatusUnauthorized || res.str("error") != "invalid_client" {
		t.Errorf("a disabled client gets %d %s", res.StatusCode, res.text)
	}
	service.must(http.StatusUnauthorized, get("/orders", bearer(v.access)))
	for name, is := range map[string]bool{
		"its own token": r.active(token, ""), "a token it was given": r.active(v.access, ""), "swap": status(r, 200, swapping(v, ordersAPI)),
		"refresh": status(r, 200, refreshing(v.refresh)), "sign in": status(r, 201, jsonOf(http.MethodPost, "/session", map[string]string{"login": person(0), "password": attackPhrase, "client_id": "shop-web", "api": ordersAPI})),
	} {
		if is {
			t.Errorf("%s of a disabled client works", name)
		}
	}
	// A session that was opened through the client ends with it.
	r.must(http.StatusUnauthorized, get("/session", v.in()))
	mustWafer(t, "", "--data", r.data, "client", "edit", "shop-web", "--enable")
	r.lively(r.visit(person(0)), service)
	if r.active(v.access, "") {
		t.Error("a token from before is active again")
	}
}

// What the command line adds needs no more than the command line asks for.
func TestAddingWithoutListsWorks(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	mustWafer(t, attackPhrase+"\n", "--data", data, "user", "add", "bob@example.com", "--password-stdin")
	mustWafer(t, "", "--data", data, "client", "add", "plain")
	mustWafer(t, "", "--data", data, "api", "add", "https://plain.example")
	mustWafer(t, "", "--data", data, "role", "add", "plain")
	var u struct{ Roles []string }
	if err := json.Unmarshal([]byte(mustWafer(t, "", "--data", data, "--json", "user", "show", "bob@example.com")), &u); err != nil || len(u.Roles) != 0 {
		t.Errorf("roles are %v: %v", u.Roles, err)
	}
}
