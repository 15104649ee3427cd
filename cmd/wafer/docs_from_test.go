package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a document shows of a file stands in that file, and so is tested where the file
// is: line for line, but for how far it is moved in. "// ..." or "# ..." alone on a line
// is for what is left out.
func TestWhatDocumentsShowOfFilesStandsThere(t *testing.T) {
	t.Parallel()
	count := 0
	for _, doc := range documents(t) {
		for _, b := range blocks(t, doc) {
			file, ok := strings.CutPrefix(b.mark, "from ")
			if !ok {
				continue
			}
			count++
			source := lines(t, filepath.Join("../..", file))
			for _, part := range parts(b.text) {
				if !holds(source, part) {
					t.Errorf("%s: this does not stand in %s:\n%s", b.at(), file, strings.Join(part, "\n"))
				}
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d blocks are taken from files", count)
	}
}

func TestShownLinesAreComparedWithTheirFile(t *testing.T) {
	t.Parallel()
	source := []string{"func f() {", "\tif a {", "\t\tb()", "\t}", "", "\tc()", "}"}
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"moved out", "if a {\n\tb()\n}\n", true},
		{"with an empty line", "}\n\nc()\n", true},
		{"other words", "if a {\n\td()\n}\n", false},
		{"a line left out", "func f() {\n\tc()\n", false},
		{"a line left out, and said so", "func f() {\n// ...\nc()\n", true},
		{"part of a line", "b(\n", false},
	} {
		got := !slices.ContainsFunc(parts(c.text), func(part []string) bool { return !holds(source, part) })
		if got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// parts are the lines between those that stand for what is left out.
func parts(text string) (all [][]string) {
	var one []string
	for line := range strings.Lines(text + "// ...\n") {
		line = strings.TrimSuffix(line, "\n")
		if trimmed := strings.TrimSpace(line); trimmed != "// ..." && trimmed != "# ..." {
			one = append(one, line)
			continue
		}
		if len(one) > 0 {
			all = append(all, one)
		}
		one = nil
	}
	return all
}

func holds(source, part []string) bool {
	for i := range len(source) - len(part) + 1 {
		if slices.Equal(movedOut(source[i:i+len(part)]), movedOut(part)) {
			return true
		}
	}
	return false
}

// movedOut takes away what all lines begin with of white space.
func movedOut(block []string) []string {
	margin := "none"
	for _, line := range block {
		lead := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		switch {
		case strings.TrimSpace(line) == "":
		case margin == "none", strings.HasPrefix(margin, lead):
			margin = lead
		}
	}
	out := make([]string, len(block))
	for i, line := range block {
		out[i] = strings.TrimPrefix(line, margin)
	}
	return out
}
