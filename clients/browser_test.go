package clients

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/clients/rig"
	"github.com/wafer-auth/wafer/internal/browsertest"
)

// A page with npm oidc-client-ts in a real browser: it signs in by PKCE, asks who that
// is, refreshes and signs out, all from another origin than the server's.
func TestOIDCClientTSInABrowser(t *testing.T) {
	packages := rig.Packages(t)
	issuer := serve(t)
	library, err := os.ReadFile(filepath.Join(packages, "node_modules", "oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("testdata", "page", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "ISSUER", strconv.Quote(issuer))
	host(t, map[string]string{"/index.html": text, "/oidc-client-ts.min.js": string(library), "/bye.html": "<!doctype html><title>bye</title><p id=who>bye</p>"})

	tab := browsertest.Open(t, browsertest.View{})
	tab.Go(rig.PageURL() + "/index.html")
	shows(t, tab, "nobody")
	tab.Press("#in")
	tab.Focus("#login")
	tab.Keys(rig.Login)
	tab.Focus("#password")
	tab.Keys(rig.Password)
	tab.Press("form button.primary")
	tab.Press(`button[value="allow"]`)
	shows(t, tab, "signed in "+rig.Login)
	tab.Focus("#renew")
	tab.Keys(browsertest.Enter)
	shows(t, tab, "renewed "+rig.Login)
	tab.Press("#out")
	shows(t, tab, "bye")
	if url := tab.URL(); !strings.HasPrefix(url, rig.PageURL()+"/bye.html?state=") {
		t.Errorf("signed out to %s", url)
	}
}

// host serves files at the address that the page is registered with.
func host(t *testing.T, files map[string]string) {
	t.Helper()
	l, err := net.Listen("tcp", strings.TrimPrefix(rig.PageURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
		}
		_, _ = w.Write([]byte(text))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

// shows waits until the page says something.
func shows(t *testing.T, tab *browsertest.Tab, want string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	got := ""
	for time.Now().Before(deadline) {
		got = browsertest.Eval[string](tab, `document.querySelector('#who')?.textContent ?? ''`)
		if got == want {
			return
		}
		if strings.HasPrefix(got, "failed") {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Fatalf("the page says %q, not %q, at %s; %v", got, want, tab.URL(), tab.Problems())
}
