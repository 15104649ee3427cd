package httpauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// RFC 9470: a good credential of a sign-in that is too old or too weak.
func TestLevelWantsARecentOrAStrongSignIn(t *testing.T) {
	t.Parallel()
	g := newProofRig(t)
	auth := httpauth.New(g.issuer.Verifier(), httpauth.Options{Logger: quiet, Now: func() time.Time { return g.now }})
	route := func(l httpauth.Level) http.Handler {
		return auth.RequireLevel(l, "orders:read")(http.HandlerFunc(welcome))
	}
	fresh, strong, both := httpauth.Level{MaxAge: 5 * time.Minute}, httpauth.Level{ACR: []string{"phr", "mfa"}}, httpauth.Level{ACR: []string{"mfa"}, MaxAge: time.Minute}
	ago := func(d time.Duration) verifytest.Claim { return verifytest.Set("auth_time", g.now.Add(-d).Unix()) }
	acr := func(s string) verifytest.Claim { return verifytest.Set("acr", s) }
	for _, c := range []struct {
		name   string
		level  httpauth.Level
		claims []verifytest.Claim
		want   string // parameters of the challenge; "" for 200
	}{
		{"recent", fresh, []verifytest.Claim{ago(4 * time.Minute)}, ""},
		{"old", fresh, []verifytest.Claim{ago(6 * time.Minute)}, `max_age="300"`},
		{"nobody signed in", fresh, []verifytest.Claim{verifytest.Without("auth_time")}, `max_age="300"`},
		{"strong", strong, []verifytest.Claim{acr("mfa")}, ""},
		{"strongest", strong, []verifytest.Claim{acr("phr")}, ""},
		{"weak", strong, []verifytest.Claim{acr("pwd")}, `acr_values="phr mfa"`},
		{"a part of a name", strong, []verifytest.Claim{acr("mf")}, `acr_values="phr mfa"`},
		{"nothing said", strong, []verifytest.Claim{verifytest.Without("acr")}, `acr_values="phr mfa"`},
		{"empty", strong, []verifytest.Claim{acr("")}, `acr_values="phr mfa"`},
		{"strong and old", both, []verifytest.Claim{acr("mfa"), ago(2 * time.Minute)}, `acr_values="mfa", max_age="60"`},
		{"strong and recent", both, []verifytest.Claim{acr("mfa"), ago(time.Second)}, ""},
		{"anything", httpauth.Level{}, []verifytest.Claim{verifytest.Without("auth_time")}, ""},
	} {
		token := g.issuer.Token(append([]verifytest.Claim{verifytest.Scope("orders:read")}, c.claims...)...)
		w := send(t, route(c.level), http.MethodGet, here+"/", http.Header{"Authorization": {"Bearer " + token}})
		challenge := w.Header().Get("WWW-Authenticate")
		switch {
		case c.want == "" && w.Code != http.StatusOK:
			t.Errorf("%s: %d %s", c.name, w.Code, challenge)
		case c.want != "" && (w.Code != http.StatusUnauthorized || !strings.HasSuffix(challenge, `error="insufficient_user_authentication", `+c.want)):
			t.Errorf("%s: %d %s", c.name, w.Code, challenge)
		}
	}
	// Whoever may not do it at all is not sent to sign in for it.
	weak := g.issuer.Token(verifytest.Scope("orders:write"), acr("pwd"))
	if w := send(t, route(strong), http.MethodGet, here+"/", http.Header{"Authorization": {"Bearer " + weak}}); w.Code != http.StatusForbidden {
		t.Errorf("without the scope: %d", w.Code)
	}
}

// A person who is signed in would come back from the sign-in page at once.
func TestLevelSendsNobodyRoundInCircles(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.New(issuer.Verifier(), httpauth.Options{Logger: quiet, Base: here, SignIn: "https://id.example/login?client_id=shop"})
	h := auth.RequireLevel(httpauth.Level{ACR: []string{"mfa"}})(http.HandlerFunc(welcome))
	ask := func(cookie string) *httptest.ResponseRecorder {
		return send(t, h, http.MethodGet, here+"/", http.Header{"Cookie": {"__Host-Http-wafer=" + cookie}, "Accept": {"text/html"}})
	}
	if w := ask(issuer.Session(verifytest.Set("acr", "mfa"))); w.Code != http.StatusOK {
		t.Errorf("strong: %d", w.Code)
	}
	if w := ask(issuer.Session()); w.Code != http.StatusUnauthorized {
		t.Errorf("weak: %d", w.Code)
	}
	if w := ask("unknown"); w.Code != http.StatusSeeOther {
		t.Errorf("not signed in: %d", w.Code)
	}
}

func TestLevelThatCannotBeMeantPanics(t *testing.T) {
	t.Parallel()
	auth := httpauth.New(verifytest.NewIssuer(t).Verifier(), httpauth.Options{})
	for name, l := range map[string]httpauth.Level{"negative": {MaxAge: -1}, "half a second": {MaxAge: time.Second / 2}, "two in one": {ACR: []string{"a b"}}, "empty": {ACR: []string{""}}, "a quote": {ACR: []string{`a"`}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			auth.RequireLevel(l)
		}()
	}
	auth.RequireLevel(httpauth.Level{ACR: []string{"a"}, MaxAge: time.Second})
}
