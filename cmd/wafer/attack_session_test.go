package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// SESS-002: who copied the cookie before the password was changed is out.
func TestCookieFromBeforeThePasswordChangeIsDead(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	service := r.ordersService()
	v, elsewhere, other := r.visit(person(0)), r.visit(person(0)), r.visit(person(1))
	change := func(current, next string, header ...[2]string) hit {
		return jsonOf(http.MethodPost, "/account/password", map[string]string{"current": current, "new": next}, header...)
	}
	r.must(http.StatusForbidden, change("not the current one at all", "eight purple bottles on a wall", v.in()))
	v = r.lively(v, service)
	res := r.must(http.StatusNoContent, change(attackPhrase, "eight purple bottles on a wall", v.in()))
	renewed := res.cookieOf(t).Value
	if renewed == v.cookie {
		t.Fatal("the cookie is the one from before")
	}
	r.must(http.StatusUnauthorized, get("/session", v.in()))
	r.must(http.StatusUnauthorized, swapping(v, ordersAPI))
	service.must(http.StatusUnauthorized, get("/orders", v.in()))
	r.dead(elsewhere, service)
	r.dead(v, service) // what was made of the old cookie is over with it
	v.cookie = renewed
	r.must(http.StatusOK, get("/session", v.in()))
	r.must(http.StatusOK, swapping(v, ordersAPI))
	service.must(http.StatusOK, get("/orders", v.in()))
	r.lively(other, service)
	if _, err := r.enter(person(0), attackPhrase); err == nil {
		t.Error("the old password still works")
	}
}

// SESS-009
func TestSessionOutsideTheCookieIsNobody(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.visit(person(0))
	for name, h := range map[string]hit{
		"query":         get("/session?session=" + v.cookie + "&wafer=" + v.cookie + "&" + middleware.CookieName + "=" + v.cookie),
		"path":          get("/session;" + middleware.CookieName + "=" + v.cookie),
		"bearer":        get("/session", bearer(v.cookie)),
		"own header":    get("/session", [2]string{"X-Session", v.cookie}, [2]string{middleware.CookieName, v.cookie}),
		"session id":    get("/session", cookie(v.sid)),
		"device cookie": get("/session", cookie(v.device)),
		"form":          {method: http.MethodPost, path: "/session/token", kind: "application/x-www-form-urlencoded", body: fields(middleware.CookieName, v.cookie, "client_id", "shop-web")},
		"JSON body":     jsonOf(http.MethodPost, "/session/token", map[string]string{"client_id": "shop-web", "session": v.cookie}),
		"Set-Cookie":    get("/session", [2]string{"Set-Cookie", middleware.CookieName + "=" + v.cookie}),
	} {
		res, err := r.fire(h)
		if err != nil || res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %v %d %s", name, err, res.StatusCode, res.text)
		}
	}
	for name, h := range map[string]hit{
		"bearer": get("/orders", bearer(v.cookie)), "query": get("/orders?access_token=" + v.access), "Basic": get("/orders", [2]string{"Authorization", "Basic " + v.access}),
	} {
		if res, err := service.fire(h); err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("orders, %s: %v %d %s", name, err, res.StatusCode, res.text)
		}
	}
	r.lively(v, service)
}

// SESS-011, SESS-015, JWT-054
func TestForgedCookieIsNobody(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.visit(person(0))
	page := r.must(http.StatusOK, get("/login"))
	form := page.Cookies()[0]
	flipped := []byte(v.cookie)
	flipped[7] ^= 1
	hash := sha256.Sum256([]byte(v.cookie))
	for name, value := range map[string]string{
		"empty": "", "flipped bit": string(flipped), "truncated": v.cookie[:42], "appended": v.cookie + "A", "other case": strings.ToUpper(v.cookie),
		"in quotes": `"` + v.cookie + `"`, "padded": v.cookie + "=", "percent": "%" + hex.EncodeToString([]byte{v.cookie[0]}) + v.cookie[1:],
		"its hash": base64.RawURLEncoding.EncodeToString(hash[:]), "session id": v.sid, "plain JSON": `{"user":"` + v.user + `"}`,
		"base64 JSON": base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"` + v.user + `"}`)), "access token": v.access, "refresh token": v.refresh,
		"opaque token": r.must(http.StatusOK, swapping(v, mailAPI)).str("access_token"), "device cookie": v.device, "form cookie": form.Value,
		"SQL": "' OR 1=1 --", "long": strings.Repeat("A", 6<<10),
	} {
		for _, at := range []struct {
			to   *running
			path string
		}{{r, "/session"}, {r, "/sessions"}, {service, "/orders"}} {
			res, err := at.to.fire(get(at.path, cookie(value)))
			if err != nil || res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s at %s: %v %d %s", name, at.path, err, res.StatusCode, res.text)
			}
		}
		if res := r.must(http.StatusSeeOther, get("/account", cookie(value), looking)); res.Header.Get("Location") != "/login?return_to=%2Faccount" {
			t.Errorf("%s: the account page leads to %s", name, res.Header.Get("Location"))
		}
	}
	// Under another name the right value is worth nothing either.
	for _, name := range []string{"wafer", "__host-http-wafer", "__Host-wafer", middleware.DeviceCookieName, "__Host-Http-wafer-form", middleware.CookieName + "\t", "a=b; \t" + middleware.CookieName, "a=b;\u00a0" + middleware.CookieName} {
		r.must(http.StatusUnauthorized, get("/session", [2]string{"Cookie", name + "=" + v.cookie}))
	}
	r.lively(v, service)
}

// JWT-054: and a cookie, or another API's token, is no access token.
func TestCookieAsBearerIsRefused(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.lively(r.visit(person(0)), service)
	opaque := r.must(http.StatusOK, swapping(v, mailAPI)).str("access_token")
	hmac := r.must(http.StatusOK, swapping(v, inventoryAPI)).str("access_token")
	for name, token := range map[string]string{
		"cookie": v.cookie, "refresh token": v.refresh, "device cookie": v.device, "mail's token": opaque, "inventory's token": hmac, "management token": r.manager(),
	} {
		res, err := service.fire(get("/orders", bearer(token)))
		if err != nil || res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.Header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("orders, %s: %v %d %v", name, err, res.StatusCode, res.Header)
		}
		if name == "management token" {
			continue
		}
		r.must(http.StatusUnauthorized, get("/api/v1/users", bearer(token)))
	}
	r.must(http.StatusUnauthorized, get("/api/v1/users", bearer(v.access)))
	r.must(http.StatusUnauthorized, get("/api/v1/users", v.in()))
	r.lively(v, service)
}

// SESS-012
func TestTwoSessionCookiesAreRefused(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	service := r.ordersService()
	v, evil := r.visit(person(0)), r.visit(person(1))
	both := func(a, b string) [][2]string {
		return [][2]string{{"Cookie", middleware.CookieName + "=" + a + "; theme=dark; " + middleware.CookieName + "=" + b}}
	}
	for name, header := range map[string][][2]string{
		"evil first": both(evil.cookie, v.cookie), "evil last": both(v.cookie, evil.cookie), "twice the same": both(v.cookie, v.cookie),
		"in two headers": {v.in(), evil.in()}, "one empty": both("", v.cookie),
	} {
		for _, h := range []hit{get("/session"), get("/account"), {method: http.MethodDelete, path: "/session"}, swapping(v, ordersAPI)} {
			h.header = header
			res, err := r.fire(h)
			if err != nil || res.StatusCode != http.StatusBadRequest || strings.Contains(res.text, v.user) || strings.Contains(res.text, evil.user) {
				t.Errorf("%s, %s %s: %v %d %s", name, h.method, h.path, err, res.StatusCode, res.text)
			}
		}
		res, err := service.fire(hit{method: http.MethodGet, path: "/orders", header: header})
		if err != nil || res.StatusCode/100 != 4 {
			t.Errorf("%s, orders: %v %d %s", name, err, res.StatusCode, res.text)
		}
	}
	r.must(http.StatusOK, get("/session", [2]string{"Cookie", "a=b; " + middleware.CookieName + "=" + v.cookie + "; c=d"}))
	r.lively(v, service)
	r.lively(evil, service)
}

// SESS-016, TOKEN-007
func TestNothingPersonalMayBeCached(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	wrong := map[string]string{"login": person(0), "password": "not the right one at all"}
	for _, h := range []hit{
		get("/session", v.in()), get("/session"), get("/sessions", v.in()), get("/account", v.in()), get("/account"), get("/login"), get("/login", v.in()),
		get("/logout", v.in()), get("/", v.in()), get("/no-such-page", v.in()), swapping(v, ordersAPI), swapping(v, "https://none.example"),
		jsonOf(http.MethodPost, "/session", wrong), jsonOf(http.MethodPost, "/session", "{"), refreshing(v.refresh), refreshing("x"), asking(v.access, ""), asking("x", ""),
		formOf("/oauth/revoke", "client_id=shop-web&token=x"), get("/oauth/token"), get("/api/v1/users"), get("/api/v1/users", bearer(r.manager())),
		jsonOf(http.MethodPost, "/session", map[string]string{"login": person(0), "password": attackPhrase}),
		{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}},
	} {
		res, err := r.fire(h)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(res.Header.Get("Cache-Control"), "no-store") || !strings.Contains(strings.Join(res.Header["Vary"], ", "), "Cookie") {
			t.Errorf("%s %s, %d: Cache-Control %q, Vary %q", h.method, h.path, res.StatusCode, res.Header.Get("Cache-Control"), res.Header["Vary"])
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s %s, %d: headers are %v", h.method, h.path, res.StatusCode, res.Header)
		}
	}
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration"} {
		res := r.must(http.StatusOK, get(path, v.in()))
		if len(res.Cookies()) != 0 || !strings.Contains(res.Header.Get("Cache-Control"), "public") {
			t.Errorf("%s: headers are %v", path, res.Header)
		}
	}
}

// SESS-017
func TestSessionListsTellNoSecrets(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v, second := r.visit(person(0)), r.visit(person(0))
	manager := bearer(r.manager())
	places := map[string]string{
		"own list": r.must(http.StatusOK, get("/sessions", v.in())).text, "own session": r.must(http.StatusOK, get("/session", v.in())).text,
		"account page": r.must(http.StatusOK, get("/account", v.in())).text, "command": mustWafer(t, "", "--data", r.data, "--json", "session", "list", "--user", person(0)),
		"management": r.must(http.StatusOK, get("/api/v1/sessions?user="+v.user, manager)).text, "audit": r.must(http.StatusOK, get("/api/v1/audit?limit=1000", manager)).text,
		"inspection":      mustWafer(t, v.access, "--data", r.data, "token", "inspect"),
		"cookie, explain": mustWafer(t, v.cookie, "--data", r.data, "--json", "token", "inspect"),
		"unknown session": r.must(http.StatusNotFound, hit{method: http.MethodDelete, path: "/sessions/" + v.cookie, header: [][2]string{v.in()}}).text,
	}
	for name, text := range places {
		if name != "inspection" && name != "cookie, explain" && name != "unknown session" && !strings.Contains(text, v.sid) && name != "audit" {
			t.Errorf("%s does not show the session at all: %s", name, text)
		}
		for _, secret := range []string{v.cookie, second.cookie, v.refresh, v.access, v.device} {
			sum := sha256.Sum256([]byte(secret))
			for _, form := range []string{secret, hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:])} {
				if strings.Contains(text, form) {
					t.Errorf("%s tells a secret", name)
				}
			}
		}
	}
	r.lively(v, nil)
	r.lively(second, nil)
}

// SESS-018
func TestUserSwitchInOneBrowserEndsTheFirstSession(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	service := r.ordersService()
	first := r.lively(r.visit(person(0)), service)
	second := r.visit(person(1), first.in())
	if second.cookie == first.cookie || second.sid == first.sid || second.user == first.user {
		t.Fatal("the second login took over a part of the first")
	}
	for _, res := range []reply{
		r.must(http.StatusOK, get("/session", second.in())), r.must(http.StatusOK, get("/sessions", second.in())),
		r.must(http.StatusOK, get("/account", second.in())), r.must(http.StatusOK, swapping(second, ordersAPI)),
	} {
		if strings.Contains(res.text, first.user) || strings.Contains(res.text, first.login) || strings.Contains(res.text, first.sid) {
			t.Errorf("an answer to the second tells of the first: %s", res.text)
		}
	}
	r.dead(first, service)
	r.must(http.StatusNotFound, hit{method: http.MethodDelete, path: "/sessions/" + first.sid, header: [][2]string{second.in()}})
	r.lively(second, service)
	// Another person's session cannot be ended by its id.
	third := r.visit(person(0))
	r.must(http.StatusNotFound, hit{method: http.MethodDelete, path: "/sessions/" + third.sid, header: [][2]string{second.in()}})
	r.lively(third, service)
}
