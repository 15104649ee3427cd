package pages_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/pages"
)

var (
	keyInTemplate = regexp.MustCompile(`\{\{-? ?(?:with )?(?:t|tf) "([^"]+)"|\bt "([^"]+)"`)
	keyInCode     = regexp.MustCompile(`(?:texts?\(|: +)"([a-z]+(?:\.[a-z]+)*)"`)
	wordsBetween  = regexp.MustCompile(`>([^<>{}]*[A-Za-z][^<>{}]*)<`)
)

func TestEveryTextOfTheCatalogueIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, pattern := range []string{"templates/*.html", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || file == "texts.go" {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range append(keyInTemplate.FindAllStringSubmatch(string(b), -1), keyInCode.FindAllStringSubmatch(string(b), -1)...) {
				used[m[1]], used[m[len(m)-1]] = true, true
			}
			if strings.HasSuffix(file, ".html") {
				for _, m := range wordsBetween.FindAllStringSubmatch(string(b), -1) {
					t.Errorf("%s: %q is not in the catalogue", file, strings.TrimSpace(m[1]))
				}
			}
		}
	}
	inTexts := []string{"time.now", "time.wait"}
	for key := range pages.Catalogue {
		if !used[key] && !slices.Contains(inTexts, key) {
			t.Errorf("nobody uses the text %s", key)
		}
	}
}

func TestTimesAreSaidInOneUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ago             time.Duration
		wantAgo, wantIn string
	}{
		{0, "just now", ""},
		{time.Second, "just now", "Try again in 1 second."},
		{59 * time.Second, "just now", "Try again in 59 seconds."},
		{time.Minute, "1 minute ago", "Try again in 1 minute."},
		{3*time.Minute + 59*time.Second, "3 minutes ago", "Try again in 4 minutes."},
		{time.Hour, "1 hour ago", "Try again in 1 hour."},
		{47 * time.Hour, "1 day ago", "Try again in 2 days."},
		{-time.Hour, "just now", ""},
	} {
		if got := pages.AgoText(c.ago); got != c.wantAgo {
			t.Errorf("%s ago: %q, want %q", c.ago, got, c.wantAgo)
		}
		if got := pages.WaitText(c.ago); got != c.wantIn {
			t.Errorf("in %s: %q, want %q", c.ago, got, c.wantIn)
		}
	}
}

func TestDevicesAreNamedAsPeopleKnowThem(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                   "Safari on Mac",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36":                   "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"curl/8.9.1":                "curl",
		"(a box; Linux)":            "A browser on Linux",
		"":                          "An unknown program",
		"<script>alert(1)</script>": "An unknown program",
	} {
		if got := pages.AgentName(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}
