package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/middleware"
)

var (
	codeOf  = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	nonceOf = regexp.MustCompile(`nonce[-=]"?[A-Za-z0-9_+/=-]+`)
)

// pageForm opens a page and returns what its form has to bring back.
func (r *running) pageForm(path string, header ...[2]string) (code string, browser [2]string) {
	r.t.Helper()
	res := r.must(http.StatusOK, get(path, header...))
	m := codeOf.FindStringSubmatch(res.text)
	if m == nil {
		r.t.Fatalf("%s has no form:\n%s", path, res.text)
	}
	browser = [2]string{"X-No-Cookie", "1"}
	for _, c := range res.Cookies() {
		browser = [2]string{"Cookie", c.Name + "=" + c.Value}
	}
	return m[1], browser
}

func signingIn(login, phrase string, header ...[2]string) hit {
	return jsonOf(http.MethodPost, "/session", map[string]string{"login": login, "password": phrase}, header...)
}

// outside is a network of its own for each i.
func outside(i int) [2]string { return from(fmt.Sprintf("203.%d.%d.9", i/250, i%250)) }

// LOGIN-001: content.
func TestUnknownUserLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	r := besieged(t, 4, behindProxy...)
	r.must(http.StatusCreated, signingIn(person(1), attackPhrase, outside(0)))
	mustWafer(t, "", "--data", r.data, "user", "edit", person(1), "--disable")
	mustWafer(t, "", "--data", r.data, "user", "remove", person(2))
	seenJSON, seenPage := map[string]string{}, map[string]string{}
	for i, tc := range []struct{ name, login, phrase string }{
		{"wrong password", person(0), "nine orange bottles on a wall"},
		{"unknown user", "user99@example.com", attackPhrase},
		{"disabled, right password", person(1), attackPhrase},
		{"disabled, wrong password", person(1), "nine orange bottles on a wall"},
		{"removed", person(2), attackPhrase},
		{"another spelling", strings.ToUpper(person(0)), "nine orange bottles on a wall"},
	} {
		res := r.must(http.StatusUnauthorized, signingIn(tc.login, tc.phrase, outside(2*i+1)))
		seenJSON[looks(res, tc.login)] = tc.name
		code, browser := r.pageForm("/login")
		body := fields("csrf", code, "login", tc.login, "password", tc.phrase)
		res = r.must(http.StatusUnauthorized, formOf("/login", body, browser, outside(2*i+2)))
		seenPage[looks(res, tc.login)] = tc.name
	}
	if len(seenJSON) != 1 || len(seenPage) != 1 {
		t.Errorf("the answers differ:\n%q\n%q", seenJSON, seenPage)
	}
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, outside(99)))
}

// looks is all that a caller sees of an answer, but for what is random in each.
func looks(res reply, login string) string {
	h := res.Header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	for name, values := range h {
		for i, v := range values {
			h[name][i] = nonceOf.ReplaceAllString(v, "NONCE")
		}
	}
	text := nonceOf.ReplaceAllString(codeOf.ReplaceAllString(res.text, "CODE"), "NONCE")
	return fmt.Sprint(res.StatusCode, h, strings.ReplaceAll(text, login, "LOGIN"))
}

// LOGIN-001: time. Only a gross difference counts: this machine is shared.
func TestUnknownUserTakesAsLongAsAWrongPassword(t *testing.T) {
	const samples = 20
	r := besieged(t, samples, behindProxy...)
	for i := range 3 {
		r.must(http.StatusCreated, signingIn(person(i), attackPhrase, outside(900+i)))
	}
	took := func(login string, i int) time.Duration {
		start := time.Now()
		r.must(http.StatusUnauthorized, signingIn(login, "nine orange bottles on a wall", outside(i)))
		return time.Since(start)
	}
	var known, unknown []time.Duration
	for i := range samples {
		known = append(known, took(person(i), 2*i))
		unknown = append(unknown, took(fmt.Sprintf("none%02d@example.com", i), 2*i+1))
	}
	slices.Sort(known)
	slices.Sort(unknown)
	a, b := known[samples/2], unknown[samples/2]
	if longer, shorter := max(a, b), min(a, b); longer > 3*shorter+20*time.Millisecond {
		t.Errorf("median of a wrong password is %v, of an unknown user %v", a, b)
	}
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, outside(999)))
}

// LOGIN-004, LOGIN-005: many guesses at once, under every spelling, are one counter.
func TestParallelGuessesDoNotPassTheLimit(t *testing.T) {
	t.Parallel()
	h := newClockHouse(t, 2) // whose clock stands still while the storm lasts
	owner, stranger := h.visit(person(0)), h.visit(person(1))
	spellings := []string{person(0), strings.ToUpper(person(0)), " " + person(0), "\uff55ser00@example.com", "User00@Example.Com\t"}
	var checked atomic.Int64
	var bad findings
	storm(120, func(i int) {
		res, err := h.alone(signingIn(spellings[i%len(spellings)], fmt.Sprint("guess number of bottles ", i)))
		switch {
		case err != nil:
			bad.add("%v", err)
		case res.StatusCode == http.StatusUnauthorized:
			checked.Add(1)
		case res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable:
			bad.add("%d %s", res.StatusCode, res.text)
		case !retryAfter(res):
			bad.add("%d without Retry-After", res.StatusCode)
		}
	})
	bad.report(t)
	if n := checked.Load(); n < 1 || n > 6 { // five are free, the sixth starts the waits
		t.Errorf("%d of 120 guesses were checked, want at most 6", n)
	}
	for n := checked.Load(); n < 6; n++ {
		h.must(http.StatusUnauthorized, signingIn(person(0), "one more guess of bottles"))
	}
	for _, spelling := range spellings {
		h.must(http.StatusTooManyRequests, signingIn(spelling, attackPhrase))
	}
	// The owner's own browser is not delayed, nor is anybody else; a cookie of
	// somebody else's browser helps nobody.
	device := func(v visitor) [2]string { return [2]string{"Cookie", middleware.DeviceCookieName + "=" + v.device} }
	h.must(http.StatusCreated, signingIn(person(0), attackPhrase, device(owner)))
	h.must(http.StatusCreated, signingIn(person(1), attackPhrase))
	h.must(http.StatusTooManyRequests, signingIn(person(0), attackPhrase, device(stranger)))
	h.forward(time.Second)
	h.must(http.StatusCreated, signingIn(person(0), attackPhrase))
}

func retryAfter(res reply) bool {
	n, err := strconv.Atoi(res.Header.Get("Retry-After"))
	return err == nil && n >= 1 && n <= 15*60
}

// LOGIN-010
func TestLongAndOddPasswordsAreNotCutOrChanged(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1, behindProxy...)
	text := "cobalt ladders under nine quiet harbors while seventy tin kites turn slowly over Lisbon and Bergen "
	long := strings.Repeat(text, 11)
	n := 0
	next := func() [2]string { n++; return outside(n) }
	for i, phrase := range []string{
		long[:64], long[:72], long[:73], long[:1024], "  two spaces stay around this phrase  ", "caf\u00e9 under the green bridge", "\U0001f9c7 waffle and \U0001f36f honey for nine",
	} {
		login := fmt.Sprintf("odd%d@example.com", i)
		mustWafer(t, phrase+"\n", "--data", r.data, "user", "add", login, "--password-stdin")
		r.must(http.StatusCreated, signingIn(login, phrase, next()))
		tried := 0
		for name, wrong := range map[string]string{
			"cut by one": phrase[:len(phrase)-1], "trimmed": strings.TrimSpace(phrase), "other case": strings.ToUpper(phrase), "decomposed": strings.ReplaceAll(phrase, "\u00e9", "e\u0301"),
			"suffix": phrase + "x", "NUL and suffix": phrase + "\x00x",
		} {
			if wrong == phrase {
				continue
			}
			res, err := r.fire(signingIn(login, wrong, next()))
			want := http.StatusUnauthorized
			if len(wrong) > 1024 {
				want = http.StatusBadRequest
			}
			if err != nil || res.StatusCode != want {
				t.Errorf("password %d, %s: %v %d %s", i, name, err, res.StatusCode, res.text)
			}
			if tried++; tried%4 == 0 { // five in a row are free
				r.must(http.StatusCreated, signingIn(login, phrase, next()))
			}
		}
		r.must(http.StatusCreated, signingIn(login, phrase, next()))
	}
	r.must(http.StatusRequestEntityTooLarge, signingIn(person(0), strings.Repeat("a", 1<<20), next()))
	r.must(http.StatusBadRequest, signingIn(person(0), strings.Repeat("a", 1025), next()))
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, next()))
}

// LOGIN-011
func TestEmptyAndWrongTypedPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1, behindProxy...)
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, outside(0)))
	for i, value := range []string{`""`, `null`, `[]`, `["` + attackPhrase + `"]`, `{}`, `{"$ne":null}`, `7`, `true`, `"\ud800"`} {
		body := `{"login":"` + person(0) + `","password":` + value + `}`
		if res := r.must(http.StatusBadRequest, jsonOf(http.MethodPost, "/session", body, outside(i+1))); len(res.Cookies()) > 0 {
			t.Errorf("password %s sets a cookie", value)
		}
	}
	for i, body := range []string{
		`{"login":"` + person(0) + `"}`, `{"login":"` + person(0) + `","password":"x","password":"` + attackPhrase + `"}`,
		`{"login":"` + person(0) + `","Password":"` + attackPhrase + `"}`, `[]`, `null`, `"x"`, ``, `{`, `{} {}`,
	} {
		r.must(http.StatusBadRequest, jsonOf(http.MethodPost, "/session", body, outside(20+i)))
	}
	r.must(http.StatusUnauthorized, signingIn(person(0), "   ", outside(40)))
	code, browser := r.pageForm("/login")
	r.must(http.StatusBadRequest, formOf("/login", fields("csrf", code, "login", person(0)), browser, outside(41)))
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, outside(42)))
}

// LOGIN-012
func TestInjectionInTheLoginMatchesNobody(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1, behindProxy...)
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, outside(0)))
	for i, login := range []string{
		"' OR 1=1--", `" OR ""="`, "user00@example.com'--", `{"$ne":null}`, "*)(uid=*", "admin)(|(a=b", "user%", "user__@example.com", "*", "../../etc/passwd", "user00@example.com%00",
		"user00@example.com\x00", "a\r\nSet-Cookie: x=y", "${jndi:ldap://127.0.0.1/a}", "{{.Password}}", "<script>alert(1)</script>", strings.Repeat("a", 255), "\u202euser00@example.com", "",
	} {
		res, err := r.fire(signingIn(login, attackPhrase, outside(i+1)))
		if err != nil || res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusBadRequest || len(res.Cookies()) > 0 {
			t.Errorf("%q: %v %d %s", login, err, res.StatusCode, res.text)
		}
		if login != "" && strings.Contains(res.text, login) {
			t.Errorf("%q comes back: %s", login, res.text)
		}
		code, browser := r.pageForm("/login")
		page, err := r.fire(formOf("/login", fields("csrf", code, "login", login, "password", attackPhrase), browser, outside(100+i)))
		if err != nil || page.StatusCode != http.StatusUnauthorized && page.StatusCode != http.StatusBadRequest || strings.Contains(page.text, "<script>alert") {
			t.Errorf("page, %q: %v %d %s", login, err, page.StatusCode, page.text)
		}
	}
	r.must(http.StatusRequestEntityTooLarge, signingIn(strings.Repeat("a", 64<<10), attackPhrase, outside(200)))
	r.must(http.StatusCreated, signingIn(person(0), attackPhrase, outside(201)))
}

// LOGIN-016, TOKEN-002
func TestSecretsAreNeverLogged(t *testing.T) {
	t.Parallel()
	const marker = "Xyzzy-Marker-9151"
	r := besieged(t, 1, append(behindProxy, "--log-level", "debug")...)
	v := r.lively(r.visit(person(0)), nil)
	manager := bearer(r.manager())
	secret := "a long secret with " + marker + " in it"
	mustWafer(t, secret+"\n", "--data", r.data, "user", "add", "carol@example.com", "--role", "clerk", "--password-stdin")
	carol, err := r.enter("carol@example.com", secret)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range []hit{
		signingIn(person(0), marker), signingIn(marker, "some phrase or other"), signingIn(marker+"@example.com", marker), get("/session", cookie(marker)), get("/session?token="+marker, bearer(marker)),
		refreshing("wrt_" + marker), asking(marker, ""), asking(marker+"."+marker+"."+marker, marker), formOf("/oauth/revoke", fields("client_id", marker, "token", marker)),
		formOf("/oauth/token?client_secret="+marker, fields("grant_type", marker, "client_id", "bystander", "client_secret", marker)),
		formOf("/oauth/token", fields("grant_type", "client_credentials", "client_id", "bystander", "client_secret", clientSecrets, "scope", marker)),
		jsonOf(http.MethodPost, "/account/password", map[string]string{"current": marker, "new": marker}, carol.in()),
		jsonOf(http.MethodPost, "/session", `{"`+marker+`":"`+marker), {method: http.MethodPost, path: "/session", kind: marker, body: marker},
		get("/login?return_to=" + marker + "&client_id=" + marker), get("/setup?token=" + marker), get("/api/v1/users/"+marker, manager), get("/api/v1/users?"+marker+"=1", manager),
		formOf("/login", fields("login", marker, "password", marker)), formOf("/setup", fields("token", marker, "login", marker, "password", marker)),
	} {
		h.header = append(h.header, outside(i), [2]string{"User-Agent", "probe"}, [2]string{"Referer", "http://localhost/" + marker})
		if res, err := r.fire(h); err != nil || res.StatusCode >= 500 {
			t.Errorf("%s %s: %v %d %s", h.method, h.path, err, res.StatusCode, res.text)
		}
	}
	audit := r.must(http.StatusOK, get("/api/v1/audit?limit=1000", manager)).text
	r.stop()
	logged := r.out.String()
	if !strings.Contains(logged, "POST /session") {
		t.Fatalf("the log does not even tell of requests:\n%s", logged)
	}
	for _, text := range []string{marker, v.cookie, v.refresh, v.access, v.device, carol.cookie, carol.refresh, carol.access, clientSecrets, attackPhrase, manager[1][7:]} {
		for name, place := range map[string]string{"log": logged, "audit": audit} {
			if i := strings.Index(place, text); i >= 0 {
				t.Errorf("the %s holds a secret: %s", name, place[max(0, i-200):min(len(place), i+100)])
			}
		}
	}
}
