package courier_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/courier"
)

func TestFetchReadsAsMuchAsItMayAndFollowsNobody(t *testing.T) {
	t.Parallel()
	inner, pool := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) })
	r, _ := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/good":
			w.Header().Set("Content-Type", "Application/JSON; charset=utf-8")
			w.Header().Set("Cache-Control", "public, max-age=90")
			_, _ = w.Write([]byte("0123456789"))
		case "/large":
			_, _ = w.Write([]byte(strings.Repeat("x", 11)))
		case "/elsewhere":
			http.Redirect(w, q, inner.URL, http.StatusFound)
		case "/private":
			w.Header().Set("Cache-Control", "max-age=90, no-store")
			_, _ = w.Write([]byte("x"))
		default:
			http.Error(w, "no", http.StatusNotFound)
		}
	})
	pool.AddCert(r.Certificate())
	k := newCourier(t, courier.Config{Issuer: local, Roots: pool})
	got, err := k.Fetch(t.Context(), r.URL+"/good", 10)
	if err != nil || string(got.Body) != "0123456789" || got.MaxAge != 90*time.Second || got.Type != "application/json" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got, err = k.Fetch(t.Context(), r.URL+"/private", 10); err != nil || got.MaxAge != 0 {
		t.Errorf("what must not be kept: %+v, %v", got, err)
	}
	for _, path := range []string{"/large", "/elsewhere", "/missing"} {
		if got, err := k.Fetch(t.Context(), r.URL+path+"?key=hidden", 10); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %+v, %v", path, got, err)
		}
	}
	if n := inner.got.Load(); n != 0 {
		t.Errorf("the inner server was asked %d times", n)
	}
	before := r.got.Load()
	live := newCourier(t, courier.Config{Issuer: public, Roots: pool})
	for _, address := range []string{r.URL + "/good", "http://example.com/keys", "https://169.254.169.254/", "file:///etc/passwd"} {
		if _, err := live.Fetch(t.Context(), address, 10); !errors.Is(err, courier.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if r.got.Load() != before {
		t.Error("an address of ours was asked")
	}
}
