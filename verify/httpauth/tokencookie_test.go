package httpauth_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const tokenName = "__Host-Http-orders"

// FWD-008, JWT-054, SESS-012
func TestTokenInItsCookieIsOneCredentialAmongOthers(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{TokenCookie: tokenName, Logger: quiet})
	h := auth.Require()(http.HandlerFunc(welcome))
	ada, eve := issuer.Token(verifytest.Subject("ada")), issuer.Token(verifytest.Subject("eve"))
	carol, revoked := issuer.Session(verifytest.Subject("carol")), issuer.Token(verifytest.Set("jti", "t-1"))
	issuer.Revoke("t-1")
	pair := func(token string) string { return tokenName + "=" + token }
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
		body   string
	}{
		{"token cookie", cookie(pair(ada)), 200, "ada by token"},
		{"among others", cookie("a=b; "+pair(ada), "c=d"), 200, "ada by token"},
		{"session cookie", cookie(session(carol)), 200, "carol by session"},
		{"bearer", bearer(eve), 200, "eve by token"},
		{"bearer beside the session cookie", and(bearer(eve), "Cookie", session(carol)), 200, "eve by token"},
		{"bearer beside the token cookie", and(bearer(eve), "Cookie", pair(ada)), 400, ""},
		{"the same token twice", and(bearer(ada), "Cookie", pair(ada)), 400, ""},
		{"both cookies", cookie(session(carol) + "; " + pair(ada)), 400, ""},
		{"two token cookies", cookie(pair(ada) + "; " + pair(eve)), 400, ""},
		{"two, one empty", cookie(pair(ada), pair("")), 400, ""},
		{"DPoP beside the cookie", and(http.Header{"Authorization": {"DPoP " + ada}}, "Cookie", pair(ada)), 400, ""},
		{"session in the token cookie", cookie(pair(carol)), 401, ""},
		{"token in the session cookie", cookie(session(ada)), 401, ""},
		{"revoked", cookie(pair(revoked)), 401, ""},
		{"changed", cookie(pair(ada[:len(ada)-4] + "AAAA")), 401, ""},
		{"empty", cookie(pair("")), 401, ""},
		{"space after the name", cookie(tokenName + " =" + ada), 401, ""},
		{"tab before the name", cookie("a=b;\t" + pair(ada)), 401, ""},
		{"other case", cookie(strings.ToUpper(tokenName) + "=" + ada), 401, ""},
		{"without the prefix", cookie("orders=" + ada), 401, ""},
		{"too many cookies", cookie(strings.Repeat("a=b; ", 3500) + pair(ada)), 431, ""},
		{"token cookie again", cookie(pair(ada)), 200, "ada by token"},
	} {
		w := send(t, h, http.MethodGet, "https://orders.example/", tt.header)
		if w.Code != tt.status || tt.body != "" && w.Body.String() != tt.body {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.body)
		}
	}
	without := httpauth.New(issuer.Verifier(), httpauth.Options{Logger: quiet}).Require()(http.HandlerFunc(welcome))
	if w := send(t, without, http.MethodGet, "https://orders.example/", cookie(pair(ada))); w.Code != http.StatusUnauthorized {
		t.Errorf("nobody asked for a token cookie, and it counts: %d", w.Code)
	}
}

func TestTokenCookieCarriesItsAttributes(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{TokenCookie: tokenName, Logger: quiet})
	token := issuer.Token()
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public, max-age=600")
	if err := auth.SetTokenCookie(w, token, time.Now().Add(5*time.Minute+500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	auth.ClearTokenCookie(w)
	set := w.Header().Values("Set-Cookie")
	want := []string{tokenName + "=" + token + "; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Lax", tokenName + "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"}
	if len(set) != 2 || set[0] != want[0] || set[1] != want[1] {
		t.Errorf("got %q, want %q", set, want)
	}
	if w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Cookie") {
		t.Errorf("got %v", w.Header())
	}
	h := auth.Require()(http.HandlerFunc(welcome))
	if w := send(t, h, http.MethodGet, "https://orders.example/", cookie(strings.Split(set[0], ";")[0])); w.Code != http.StatusOK {
		t.Errorf("what was set is not taken: %d", w.Code)
	}
}

func TestTokenThatBrowsersWouldDropIsRefused(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	auth := httpauth.New(verifytest.NewIssuer(t).Verifier(), httpauth.Options{TokenCookie: tokenName, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	room := 4096 - len(tokenName)
	soon := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name    string
		token   string
		expires time.Time
		ok      bool
		warned  int // so far
	}{
		{"small", "a.b.c", soon, true, 0},
		{"at 3.5 KiB", strings.Repeat("a", 3584-len(tokenName)), soon, true, 0},
		{"over 3.5 KiB", strings.Repeat("a", 3585-len(tokenName)), soon, true, 1},
		{"at 4096", strings.Repeat("a", room), soon, true, 1},
		{"over 4096", strings.Repeat("a", room+1), soon, false, 1},
		{"empty", "", soon, false, 1},
		{"with an attribute", "a.b.c; Domain=example", soon, false, 1},
		{"with a line break", "a.b.c\r\nX: y", soon, false, 1},
		{"expired", "a.b.c", time.Now(), false, 1},
	} {
		w := httptest.NewRecorder()
		err := auth.SetTokenCookie(w, tt.token, tt.expires)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, httpauth.ErrTokenCookie) || (w.Header().Get("Set-Cookie") != "") != tt.ok {
			t.Errorf("%s: got %v, %.60q", tt.name, err, w.Header().Get("Set-Cookie"))
		}
		if got := strings.Count(logged.String(), "nearly as large"); got != tt.warned {
			t.Errorf("%s: %d warnings, want %d", tt.name, got, tt.warned)
		}
	}
	if strings.Contains(logged.String(), "aaaa") {
		t.Error("the token is in the log")
	}
	defer func() {
		if recover() == nil {
			t.Error("a cookie without a name was set")
		}
	}()
	_ = httpauth.New(verifytest.NewIssuer(t).Verifier(), httpauth.Options{}).SetTokenCookie(httptest.NewRecorder(), "a.b.c", soon)
}
