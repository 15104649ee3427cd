package httpauth_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// Over real connections and from many goroutines at once, everybody is who they are.
func TestNobodyBecomesSomebodyElse(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	auth := httpauth.Require(issuer.Verifier(), "orders:read")
	web := httptest.NewServer(auth(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := httpauth.From(r.Context())
		_, _ = io.WriteString(w, id.Subject)
	})))
	t.Cleanup(web.Close)
	get := func(name, value string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL, nil)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		r.Header.Set(name, value)
		res, err := web.Client().Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res.StatusCode, string(body)
	}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			user := fmt.Sprintf("user-%d", i)
			mine := []verifytest.Claim{verifytest.Subject(user), verifytest.Scope("orders:read")}
			headers := map[string][2]string{
				"token":   {"Authorization", "Bearer " + issuer.Token(mine...)},
				"opaque":  {"Authorization", "Bearer " + issuer.Opaque(mine...)},
				"session": {"Cookie", session(issuer.Session(mine...))},
			}
			for kind, h := range headers {
				for range 5 {
					if status, body := get(h[0], h[1]); status != http.StatusOK || body != user {
						t.Errorf("%s of %s: got %d %q", kind, user, status, body)
					}
				}
			}
			issuer.Revoke(user)
			for kind, h := range headers {
				if status, _ := get(h[0], h[1]); status != http.StatusUnauthorized {
					t.Errorf("%s of %s after revocation: got %d, want 401", kind, user, status)
				}
			}
		})
	}
	all.Wait()
}
