package app_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func TestPageLooksLikeItsGoldenFile(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile(`(name="csrf" value=")[^"]+`)
	try := regexp.MustCompile(`at try \d+`)
	b := newBrowser(t, newWorld())
	steps := []struct {
		name string
		page func() string
	}{
		{"signed-out", b.page},
		{"called", func() string { b.signInForTokens(password); b.press("/cookie"); return b.press("/refresh") }},
		{"refused", func() string { return b.press("/logout") }},
	}
	for _, s := range steps {
		got := try.ReplaceAllString(code.ReplaceAllString(s.page(), "${1}CODE"), "at try N")
		path := filepath.Join("testdata", s.name+".golden.html")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s; if that is meant, run go test -update\n%s", s.name, path, firstDifference(got, string(want)))
		}
	}
}

func firstDifference(got, want string) string {
	w := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(w) || line != w[i] {
			return "got  " + line + "\nwant " + strings.Join(w[min(i, len(w)):min(i+1, len(w))], "")
		}
	}
	return "the page is shorter"
}
