package main

import (
	"net/http"
	"strings"
	"testing"
)

const ownCredentials = "client_id=bystander&client_secret=" + clientSecrets

// TOKEN-002, TOKEN-003, TOKEN-004: what is not one plain form gets no token.
func TestMalformedTokenRequestsGetNothing(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	good := formOf("/oauth/token", "grant_type=client_credentials&"+ownCredentials)
	basic := [2]string{"Authorization", "Basic YnlzdGFuZGVyOmEtY2xpZW50LXNlY3JldC1mb3ItbG9jYWwtdXNl"}
	r.must(http.StatusOK, good)
	r.must(http.StatusOK, formOf("/oauth/token", "grant_type=client_credentials", basic))
	r.must(http.StatusOK, formOf("/oauth/token", good.body+"&unknown=1&state=x")) // CONTROL-001
	for name, h := range map[string]hit{
		"all in the query":           formOf("/oauth/token?"+good.body, ""),
		"secret in the query":        formOf("/oauth/token?client_secret="+clientSecrets, "grant_type=client_credentials&client_id=bystander"),
		"query and body":             formOf("/oauth/token?client_id=watch", good.body),
		"bare question mark":         formOf("/oauth/token?", good.body),
		"grant_type twice":           formOf("/oauth/token", good.body+"&grant_type=client_credentials"),
		"grant_type twice, empty":    formOf("/oauth/token", good.body+"&grant_type="),
		"scope twice":                formOf("/oauth/token", good.body+"&scope=inventory:read&scope=inventory:read"),
		"client_id twice":            formOf("/oauth/token", good.body+"&client_id=bystander"),
		"Basic and body differ":      formOf("/oauth/token", "grant_type=client_credentials&client_id=watch", basic),
		"Basic and secret in body":   formOf("/oauth/token", good.body, basic),
		"two Basic headers":          formOf("/oauth/token", "grant_type=client_credentials", basic, basic),
		"broken escape":              formOf("/oauth/token", good.body+"&a=%zz"),
		"semicolon":                  formOf("/oauth/token", strings.ReplaceAll(good.body, "&", ";")),
		"20,000 fields":              formOf("/oauth/token", good.body+strings.Repeat("&a=", 15000)),
		"other fields by the dozen":  formOf("/oauth/token", good.body+"&"+manyFields(100)),
		"NUL":                        formOf("/oauth/token", good.body+"&scope=%00"),
		"overlong UTF-8":             formOf("/oauth/token", good.body+"&x=%c0%af"),
		"JSON":                       jsonOf(http.MethodPost, "/oauth/token", `{"grant_type":"client_credentials","client_id":"bystander","client_secret":"`+clientSecrets+`"}`),
		"no content type":            {method: http.MethodPost, path: "/oauth/token", body: good.body},
		"text":                       {method: http.MethodPost, path: "/oauth/token", kind: "text/plain", body: good.body},
		"multipart":                  {method: http.MethodPost, path: "/oauth/token", kind: "multipart/form-data; boundary=x", body: good.body},
		"wrong secret":               formOf("/oauth/token", "grant_type=client_credentials&client_id=bystander&client_secret=wrong"),
		"no secret":                  formOf("/oauth/token", "grant_type=client_credentials&client_id=bystander"),
		"unknown client":             formOf("/oauth/token", "grant_type=client_credentials&client_id=nobody&client_secret=wrong"),
		"nobody":                     formOf("/oauth/token", "grant_type=client_credentials"),
		"unknown grant type":         formOf("/oauth/token", "grant_type=password&username=a&password=b&"+ownCredentials),
		"another API":                formOf("/oauth/token", good.body+"&resource=https://orders.example"),
		"more scope":                 formOf("/oauth/token", good.body+"&scope=inventory:write"),
		"management":                 formOf("/oauth/token", good.body+"&resource=management"),
		"plus that is no space":      formOf("/oauth/token", good.body+"&scope=inventory%2Bread"),
		"public client, credentials": formOf("/oauth/token", "grant_type=client_credentials&client_id=shop-web"),
	} {
		res, err := r.fire(h)
		if err != nil || res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusUnauthorized || res.str("error") == "" || strings.Contains(res.text, "access_token") {
			t.Errorf("%s: %v %d %s", name, err, res.StatusCode, res.text)
			continue
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: headers are %v", name, res.Header)
		}
	}
	r.must(http.StatusOK, good)
	r.stop()
	if strings.Contains(r.out.String(), clientSecrets) {
		t.Error("a client secret is in the log")
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("x" + strings.Repeat("y", i) + "=1&")
	}
	return b.String() + "z=1"
}

// TOKEN-008: unknown, wrong, disabled: one answer.
func TestClientsCannotBeToldApart(t *testing.T) {
	t.Parallel()
	r := besieged(t, 0)
	mustWafer(t, "", "--data", r.data, "client", "edit", "watch", "--disable")
	seen := map[string]string{}
	for name, who := range map[string]string{
		"unknown": "client_id=nobody&client_secret=wrong", "wrong": "client_id=bystander&client_secret=wrong", "disabled": "client_id=watch&client_secret=" + clientSecrets,
		"disabled, wrong": "client_id=watch&client_secret=wrong", "public with a secret": "client_id=shop-web&client_secret=x", "empty secret": "client_id=bystander&client_secret=",
	} {
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			res := r.must(http.StatusUnauthorized, formOf(path, "grant_type=client_credentials&token=x&"+who))
			res.Header.Del("Vary") // two of the three paths are for browsers, too
			seen[looks(res, "\n")] = name + " at " + path
		}
	}
	if len(seen) != 1 {
		t.Errorf("the answers differ: %q", seen)
	}
	r.must(http.StatusOK, formOf("/oauth/token", "grant_type=client_credentials&"+ownCredentials))
}

// TOKEN-007, CSRF-006
func TestForeignOriginsMayNotReadAnswers(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	origin := func(o string) [2]string { return [2]string{"Origin", o} }
	for _, h := range []hit{refreshing("x"), swapping(v, ordersAPI), get("/session", v.in())} {
		h.header = append(h.header, origin("http://localhost:3000"))
		res, err := r.fire(h)
		if err != nil || res.Header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" {
			t.Errorf("%s from the registered origin: %v %v", h.path, err, res.Header)
		}
	}
	for _, o := range []string{"http://evil.test", "null", "http://localhost:3000.evil.test", "HTTP://LOCALHOST:3000", "http://localhost:3000/", "https://localhost:3000", "http://localhost:30000", "*"} {
		for _, h := range []hit{
			refreshing("x", origin(o)), asking("x", ""), formOf("/oauth/revoke", "client_id=shop-web&token=x", origin(o)), get("/session", v.in(), origin(o)),
			jsonOf(http.MethodPost, "/session/token", map[string]string{"client_id": "shop-web", "api": ordersAPI}, v.in(), origin(o)),
			{method: http.MethodOptions, path: "/session", header: [][2]string{origin(o), {"Access-Control-Request-Method", "POST"}}},
			{method: http.MethodOptions, path: "/oauth/token", header: [][2]string{origin(o), {"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", "authorization"}}},
		} {
			res, err := r.fire(h)
			if err != nil || res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s from %s: %v %d %v", h.method, h.path, o, err, res.StatusCode, res.Header)
			}
			if strings.Contains(h.path, "/session/token") && res.StatusCode != http.StatusForbidden {
				t.Errorf("swap from %s: %d %s", o, res.StatusCode, res.text)
			}
		}
	}
	r.lively(v, nil)
}

// INTRO-002
func TestIntrospectionOutsideTheAudienceTellsNothing(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.lively(r.visit(person(0)), nil)
	as := func(id, token, api string) hit {
		return formOf("/oauth/introspect", fields("client_id", id, "client_secret", clientSecrets, "token", token, "api", api))
	}
	if res := r.must(http.StatusOK, as("orders-api", v.access, "")); res.body["active"] != true {
		t.Fatalf("its own service is told %s", res.text)
	}
	for _, tc := range []struct{ caller, token, api string }{
		{"inventory-api", v.access, ""}, {"bystander", v.access, ""}, {"inventory-api", v.cookie, ordersAPI}, {"bystander", v.cookie, ordersAPI},
		{"orders-api", v.cookie, inventoryAPI}, {"orders-api", v.cookie, "management"}, {"orders-api", v.cookie, ""}, {"orders-api", v.refresh, ""}, {"watch", v.refresh, ""},
		{"orders-api", r.manager(), ""},
	} {
		if res := r.must(http.StatusOK, as(tc.caller, tc.token, tc.api)); strings.TrimSpace(res.text) != `{"active":false}` {
			t.Errorf("%s is told of %.12s: %s", tc.caller, tc.token, res.text)
		}
	}
	r.lively(v, nil)
}

// INTRO-003
func TestIntrospectionOfJunkIsInactiveWithoutAReason(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.lively(r.visit(person(0)), nil)
	gone := r.visit(person(0))
	r.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{gone.in()}})
	parts := strings.Split(v.access, ".")
	for name, token := range map[string]string{
		"garbage": "garbage", "dots": "...", "revoked JWT": gone.access, "ended cookie": gone.cookie, "unsigned": parts[0] + "." + parts[1] + ".", "alg none": "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"other payload": parts[0] + "." + strings.Split(gone.access, ".")[1] + "." + parts[2], "spaces": " " + v.access + " ", "60 KB": strings.Repeat("a.", 30_000), "43 letters": strings.Repeat("A", 43),
	} {
		if res := r.must(http.StatusOK, asking(token, "")); strings.TrimSpace(res.text) != `{"active":false}` {
			t.Errorf("%s: %s", name, res.text)
		}
	}
	r.must(http.StatusRequestEntityTooLarge, asking(strings.Repeat("a", 1<<20), ""))
	r.must(http.StatusMethodNotAllowed, get("/oauth/introspect?token="+v.access))
	r.must(http.StatusBadRequest, formOf("/oauth/introspect", "client_id=watch&client_secret="+clientSecrets))
	for _, hint := range []string{"refresh_token", "access_token", "session", "nonsense"} {
		res := r.must(http.StatusOK, formOf("/oauth/introspect", fields("client_id", "watch", "client_secret", clientSecrets, "token", v.access, "token_type_hint", hint)))
		if res.body["active"] != true {
			t.Errorf("with the hint %s: %s", hint, res.text)
		}
	}
}

// REVOKE-001
func TestAnotherClientsTokenCannotBeRevoked(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.visit(person(0))
	for _, who := range []string{ownCredentials, "client_id=watch&client_secret=" + clientSecrets, "client_id=console"} {
		for _, token := range []string{v.access, v.refresh, v.cookie} {
			r.must(http.StatusOK, formOf("/oauth/revoke", who+"&"+fields("token", token)))
		}
	}
	r.must(http.StatusUnauthorized, formOf("/oauth/revoke", fields("token", v.access)))
	r.must(http.StatusUnauthorized, formOf("/oauth/revoke", "client_id=shop-web&client_secret=x&"+fields("token", v.access)))
	v = r.lively(v, service)
	r.must(http.StatusOK, formOf("/oauth/revoke", fields("client_id", "shop-web", "token", v.access)))
	service.must(http.StatusUnauthorized, get("/orders", bearer(v.access)))
	service.must(http.StatusOK, get("/orders", v.in()))
	r.must(http.StatusOK, refreshing(v.refresh))
}
