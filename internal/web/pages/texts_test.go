package pages_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/web/pages"
)

var (
	keyInTemplate = regexp.MustCompile(`\{\{-? ?(?:with )?(?:t|tf) "([^"]+)"|\bt "([^"]+)"`)
	keyInCode     = regexp.MustCompile(`[({ ]"([a-z]+(?:\.[a-z]+)*)"`)
	wordsBetween  = regexp.MustCompile(`>([^<>{}]*[A-Za-z][^<>{}]*)<`)
	gapInText     = regexp.MustCompile(`%(?:\[(\d)\])?([a-z%])`)
)

// read returns the files that a pattern finds, without tests and catalogues.
func read(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "texts") {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(b)
		}
	}
	return all
}

// Every text of the pages is in the catalogue, and every text of the catalogue is
// used: by a page, or by a flow whose public sentence it is.
func TestEveryTextOfTheCatalogueIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for file, text := range read(t, "templates/*.html", "*.go") {
		for _, m := range append(keyInTemplate.FindAllStringSubmatch(text, -1), keyInCode.FindAllStringSubmatch(text, -1)...) {
			used[m[1]], used[m[len(m)-1]] = true, true
		}
		if strings.HasSuffix(file, ".html") {
			for _, m := range wordsBetween.FindAllStringSubmatch(text, -1) {
				t.Errorf("%s: %q is not in the catalogue", file, strings.TrimSpace(m[1]))
			}
		}
	}
	for _, unit := range []string{"day", "hour", "minute", "second"} { // put together in amount
		used["time."+unit], used["time."+unit+"s"] = true, true
	}
	var flows strings.Builder
	for _, text := range read(t, "../../*/*.go", "../../factor/*/*.go", "../middleware/*.go", "../respond/*.go") {
		flows.WriteString(text)
	}
	said := flows.String()
	seen := map[string]string{}
	for key, text := range pages.Catalogues()["en"] {
		if strings.HasPrefix(key, "refused.") {
			used[key] = strings.Contains(said, strconv.Quote(text))
			if other := seen[text]; other != "" {
				t.Errorf("%s and %s say the same", key, other)
			}
			seen[text] = key
		}
		if !used[key] {
			t.Errorf("nobody uses the text %s", key)
		}
	}
}

// gaps are the gaps of a text, by their number.
func gaps(text string) map[int]string {
	all := map[int]string{}
	for i, m := range gapInText.FindAllStringSubmatch(text, -1) {
		n := i + 1
		if m[1] != "" {
			n, _ = strconv.Atoi(m[1])
		}
		all[n] = m[2]
	}
	return all
}

func TestEveryLanguageHasEveryTextWithTheSameGaps(t *testing.T) {
	t.Parallel()
	all := pages.Catalogues()
	if len(all) < 2 || !maps.Equal(gaps("%s and %d"), gaps("%[2]d and %[1]s")) || maps.Equal(gaps("%s"), gaps("%d")) {
		t.Fatal("nothing is compared")
	}
	for tag, texts := range all {
		for key, text := range all["en"] {
			other, there := texts[key]
			switch {
			case !there || other == "":
				t.Errorf("%s lacks %s", tag, key)
			case !maps.Equal(gaps(text), gaps(other)):
				t.Errorf("%s of %s has other gaps: %q and %q", key, tag, text, other)
			case strings.HasSuffix(text, ".") != strings.HasSuffix(other, "."):
				t.Errorf("%s of %s ends otherwise: %q and %q", key, tag, text, other)
			}
		}
		for key := range texts {
			if _, there := all["en"][key]; !there {
				t.Errorf("%s has %s, and nobody else", tag, key)
			}
		}
	}
}

func TestSentencesOfFlowsAreSaidInTheLanguage(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"Wrong login or password.": "Anmeldename oder Passwort ist falsch.",
		"Use at least 15 characters. Several words in a row are easy to remember.": "Nehmen Sie mindestens 15 Zeichen. Mehrere Wörter hintereinander sind leicht zu merken.",
		"The password is longer than 1024 bytes.":                                  "Das Passwort ist länger als 1024 Bytes.",
		"Use at least 15 characters.":                                              "Use at least 15 characters.",
		"Nobody ever translated this.":                                             "Nobody ever translated this.",
		"":                                                                         "",
	} {
		if got := pages.Say("de", public); got != want {
			t.Errorf("%q: %q, want %q", public, got, want)
		}
		if got := pages.Say("en", public); got != public {
			t.Errorf("%q became %q in English", public, got)
		}
	}
}

func TestLanguageIsWhatTheBrowserPrefers(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"": "en", "de": "de", "DE-at": "de", "de-DE,de;q=0.9,en;q=0.8": "de", "en-GB,en;q=0.9,de;q=0.8": "en", "fr,de;q=0.5,en;q=0.4": "de",
		"fr": "en", "*": "en", "*,de;q=0.5": "en", "de,*;q=0.5": "de", "en;q=0,de;q=0.1": "de", "de;q=0": "en", "de;q=x": "en", "deu": "en",
		"de;q=0.5,en;q=0.5": "de", " , ;;,de": "de", strings.Repeat("x,", 4000) + "de": "de",
	} {
		if got := pages.Preferred(accept); got != want {
			t.Errorf("%.40q: %s, want %s", accept, got, want)
		}
	}
	if got := pages.Preferred("fr", "de"); got != "de" {
		t.Errorf("two headers: %s", got)
	}
}

// An application's wish goes before the browser's, and stays with the forms.
func TestApplicationChoosesTheLanguage(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, c := range []struct{ query, accept, lang, title string }{
		{"", "", "en", "Sign in"},
		{"", "de-CH, en;q=0.5", "de", "Anmelden"},
		{"?ui_locales=de", "en", "de", "Anmelden"},
		{"?ui_locales=fr-CA+de-AT+en", "en", "de", "Anmelden"},
		{"?ui_locales=en", "de", "en", "Sign in"},
		{"?ui_locales=fr", "de", "de", "Anmelden"},
		{"?ui_locales=%22%3E%3Cscript%3E", "", "en", "Sign in"},
	} {
		got := g.browser().ask("GET", "/login"+c.query, "Accept-Language", c.accept)
		if !strings.Contains(got.body, `<html lang="`+c.lang+`">`) || !strings.Contains(got.body, "<h1>"+c.title+"</h1>") ||
			got.header.Get("Content-Language") != c.lang || got.header.Get("Vary") != "Accept-Language, Cookie" {
			t.Errorf("%s with %q: %v %s", c.query, c.accept, got.header, got.body)
		}
	}
	b := g.browser()
	refused := b.send(b.get("/login?ui_locales=de"), "/login", "login", ada, "password", "wrong")
	if refused.status != 401 || !strings.Contains(refused.body, "Anmeldename oder Passwort ist falsch.") {
		t.Errorf("the form forgot the language: %d %s", refused.status, refused.body)
	}
	login := b.follow(b.get(link("ui_locales", "de")))
	if !strings.Contains(login.body, "<h1>Anmelden</h1>") {
		t.Errorf("sign-in for an application: %s", login.body)
	}
	if consent := b.follow(b.send(login, "/login", "login", ada, "password", good)); !strings.Contains(consent.body, "Zugriff erlauben?") {
		t.Errorf("consent: %s", consent.body)
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
		if got := pages.AgoText("en", c.ago); got != c.wantAgo {
			t.Errorf("%s ago: %q, want %q", c.ago, got, c.wantAgo)
		}
		if got := pages.WaitText("en", c.ago); got != c.wantIn {
			t.Errorf("in %s: %q, want %q", c.ago, got, c.wantIn)
		}
	}
}

func TestTimesAreSaidInGerman(t *testing.T) {
	t.Parallel()
	for ago, want := range map[time.Duration][2]string{
		0: {"gerade eben", ""}, time.Second: {"gerade eben", "Versuchen Sie es in 1 Sekunde wieder."}, time.Hour: {"vor 1 Stunde", "Versuchen Sie es in 1 Stunde wieder."},
		48 * time.Hour: {"vor 2 Tagen", "Versuchen Sie es in 2 Tagen wieder."},
	} {
		if a, w := pages.AgoText("de", ago), pages.WaitText("de", ago); a != want[0] || w != want[1] {
			t.Errorf("%s: %q and %q, want %q", ago, a, w, want)
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
		"Go-http-client/2.0":        "A Go program",
		"(a box; Linux)":            "A browser on Linux",
		"":                          "An unknown program",
		"<script>alert(1)</script>": "An unknown program",
	} {
		if got := pages.AgentName("en", agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}
