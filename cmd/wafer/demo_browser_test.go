package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/browsertest"
)

// make images passes a folder; without it the journey is walked and no picture kept.
var images = flag.String("images", "", "folder to write pictures of the demo to")

// TestDemoInABrowser walks the demo as somebody would who has just started it:
// from the shop to the sign-in page and back, a call with the cookie and one with
// a JWT, the account page, and the log-out that both panels show.
func TestDemoInABrowser(t *testing.T) {
	out, stop := startDemo(t)
	defer stop()
	shop := after(t, out, `open\s+(http://localhost:\d+)`)
	wafer := after(t, out, `wafer\s+(http://localhost:\d+)`)
	for _, v := range []browsertest.View{{Width: 1280, Height: 800, NoScript: true}, {Width: 1280, Height: 800, NoScript: true, Dark: true}} {
		tab := browsertest.Open(t, v)
		tab.Go(shop + "/")
		tab.Press("a.button.main")
		tab.AwaitFocus("#login")
		tab.Keys(demoLogin)
		keep(t, tab, v, "login")
		tab.Keys(browsertest.Next + demoPassword)
		tab.Send(browsertest.Enter)
		if tab.URL() != shop+"/" {
			t.Fatalf("signing in led to %s", tab.URL())
		}
		tab.Press(`form[action="/cookie"] button`)
		tab.Press(`form[action="/swap"] button`)
		wantVerdicts(t, tab, "accepted")
		keep(t, tab, v, "shop")
		tab.Go(wafer + "/account")
		if text := tab.Text("body"); !strings.Contains(text, "Here now") {
			t.Errorf("the account page does not show this browser: %s", text)
		}
		keep(t, tab, v, "account")
		tab.Go(shop + "/")
		tab.Press(`form[action="/logout"] button`)
		wantVerdicts(t, tab, "refused")
		keep(t, tab, v, "refused")
		if heard := tab.Problems(); len(heard) > 0 {
			t.Errorf("the browser complains: %q", heard)
		}
	}
}

func after(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s is not in %s", pattern, text)
	}
	return m[1]
}

func wantVerdicts(t *testing.T, tab *browsertest.Tab, want string) {
	t.Helper()
	for _, panel := range []string{"#cookie", "#jwt"} {
		if got := tab.Text(panel + " .verdict"); !strings.Contains(got, want) {
			t.Errorf("panel %s says %q, want %q", panel, got, want)
		}
	}
}

func keep(t *testing.T, tab *browsertest.Tab, v browsertest.View, name string) {
	t.Helper()
	if *images == "" {
		return
	}
	if err := os.MkdirAll(*images, 0o755); err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	tab.Photograph(filepath.Join(*images, name+"-"+scheme+".png"))
}
