package respond_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

const chromeAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestOnlyWhatSomebodyLooksAtNavigates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                           string
		site, mode, dest, accept, with string
		want                           bool
	}{
		{"link", "same-origin", "navigate", "document", chromeAccept, "", true},
		{"link from elsewhere", "cross-site", "navigate", "document", chromeAccept, "", true},
		{"link, browser that wants anything", "none", "navigate", "document", "*/*", "", true},
		{"frame", "same-origin", "navigate", "iframe", chromeAccept, "", false},
		{"fetch", "same-origin", "cors", "empty", "*/*", "", false},
		{"fetch that wants HTML", "same-origin", "cors", "empty", "text/html", "", false},
		{"fetch with another mode", "cross-site", "no-cors", "empty", "text/html", "", false},
		{"image", "same-origin", "no-cors", "image", "image/*", "", false},
		{"site alone", "same-origin", "", "", "text/html", "", false},
		{"old browser", "", "", "", chromeAccept, "", true},
		{"old browser, script", "", "", "", "*/*", "", false},
		{"old browser, script that says so", "", "", "", chromeAccept, "XMLHttpRequest", false},
		{"old browser, script that wants JSON most", "", "", "", "application/json, text/html;q=0.9", "", false},
		{"old browser, script without a preference", "", "", "", "application/json, text/html", "", false},
		{"wants no HTML", "", "", "", "text/html;q=0", "", false},
		{"weight that is none", "", "", "", "text/html;q=x", "", false},
		{"weight that is no number", "", "", "", "text/html;q=NaN", "", false},
		{"program", "", "", "", "", "", false},
		{"program that takes anything", "", "", "", "*/*", "", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for name, value := range map[string]string{
			"Sec-Fetch-Site": tt.site, "Sec-Fetch-Mode": tt.mode, "Sec-Fetch-Dest": tt.dest, "Accept": tt.accept, "X-Requested-With": tt.with,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := respond.Navigates(r); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}

func TestRefusalIsAPageForPeopleAndJSONForPrograms(t *testing.T) {
	t.Parallel()
	ask := func(accept string, err error) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		w.Header().Set(respond.RequestID, "id-1")
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		respond.Error(w, r, err, slog.New(slog.DiscardHandler))
		return w
	}
	no := fault.New(fault.NotFound, "There is no <b>such</b> thing.")
	w := ask(chromeAccept, no)
	policy := w.Header().Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`style-src 'nonce-([^']{16,})'`).FindStringSubmatch(policy)
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(w.Body.String(), "no &lt;b&gt;such&lt;/b&gt; thing.") {
		t.Fatalf("page: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if nonce == nil || !strings.Contains(w.Body.String(), `<style nonce="`+nonce[1]+`">`) || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	if again := ask(chromeAccept, no).Header().Get("Content-Security-Policy"); again == policy {
		t.Error("two pages have one nonce")
	}
	if strings.Contains(w.Body.String(), "id-1") {
		t.Error("a refusal names the request")
	}
	if w := ask(chromeAccept, http.ErrBodyNotAllowed); w.Code != 500 || !strings.Contains(w.Body.String(), "<code>id-1</code>") || strings.Contains(w.Body.String(), "body") && strings.Contains(w.Body.String(), "allowed") {
		t.Errorf("failure: %d %s", w.Code, w.Body)
	}
	if w := ask("*/*", no); w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Security-Policy") != "" {
		t.Errorf("program: %v %s", w.Header(), w.Body)
	}
	if w := ask(chromeAccept, &grant.Error{Code: grant.InvalidGrant}); w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("OAuth: %v %s", w.Header(), w.Body)
	}
}
