package archtest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// A wrong tree is the right one with some files laid over it. Its head names what must be found, one line each:
//
//	rule | file:line | part of the reason
//
// and nothing else may be found. After the head come the files, each under a line "-- name --". A line
// "#fill N" stands for N lines of comment, and a file whose only line is "#gone" is taken away.
type wrongTree struct {
	wants []want
	files fstest.MapFS
}

type want struct{ rule, place, reason string }

func TestRightTreeIsFoundRight(t *testing.T) {
	t.Parallel()
	right := readTree(t, filepath.Join("testdata", "right.txt"))
	for _, line := range findAll(t, right.files, house) {
		t.Error(line)
	}
}

func TestWrongTreesAreCaught(t *testing.T) {
	t.Parallel()
	right := readTree(t, filepath.Join("testdata", "right.txt"))
	for _, name := range wrongTrees(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			wrong := readTree(t, name)
			if len(wrong.wants) == 0 {
				t.Fatal("the tree does not say what is wrong with it")
			}
			compare(t, findAll(t, overlay(right.files, wrong.files), house), wrong.wants)
		})
	}
}

func TestEveryRuleHasAWrongTree(t *testing.T) {
	t.Parallel()
	proved := map[string]bool{}
	for _, name := range wrongTrees(t) {
		for _, w := range readTree(t, name).wants {
			proved[w.rule] = true
		}
	}
	for _, r := range rules {
		if !proved[r.name] {
			t.Errorf("rule %q is caught by no tree in testdata/wrong", r.name)
		}
		delete(proved, r.name)
	}
	for name := range proved {
		t.Errorf("testdata/wrong names a rule %q, which is not there", name)
	}
}

func TestExceptionsExcuseOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	right := readTree(t, filepath.Join("testdata", "right.txt")).files
	sideways := readTree(t, filepath.Join("testdata", "wrong", "floors-sideways.txt")).files
	long := readTree(t, filepath.Join("testdata", "wrong", "sizes.txt")).files

	excusing := house
	excusing.sideways = []sideway{{"session", "token", "proof"}}
	excusing.longer = map[string]string{
		"internal/fault/long.go":                "proof",
		"internal/fault/fault.go:Long":          "proof",
		"internal/fault/fault_test.go:TestLong": "proof",
	}
	both := overlay(overlay(right, sideways), long)
	if got := findAll(t, both, house); len(got) < 4 {
		t.Errorf("without exceptions: found %d lines, want the import and the three sizes: %q", len(got), got)
	}
	for _, line := range findAll(t, both, excusing) {
		t.Errorf("with exceptions: %s", line)
	}
	compare(t, findAll(t, right, excusing), []want{
		{"floors", "internal/archtest/plan_test.go:1", "not needed any more"},
		{"sizes of files and functions", "internal/archtest/plan_test.go:1", "fault.go:Long is not needed any more"},
		{"sizes of files and functions", "internal/archtest/plan_test.go:1", "fault_test.go:TestLong is not needed any more"},
		{"sizes of files and functions", "internal/archtest/plan_test.go:1", "long.go is not needed any more"},
	})
}

// compare fails unless each line found was wanted and each line wanted was found.
func compare(t *testing.T, found []string, wants []want) {
	t.Helper()
	missing := slices.Clone(wants)
	for _, line := range found {
		i := slices.IndexFunc(missing, func(w want) bool { return w.matches(line) })
		if i < 0 {
			t.Errorf("found, not wanted: %s", line)
			continue
		}
		missing = slices.Delete(missing, i, i+1)
	}
	for _, w := range missing {
		t.Errorf("wanted, not found: %s | %s | %s", w.rule, w.place, w.reason)
	}
}

func (w want) matches(line string) bool {
	rest, ok := strings.CutPrefix(line, fmt.Sprintf("%s | %s: ", w.rule, w.place))
	return ok && strings.Contains(rest, w.reason)
}

func findAll(t *testing.T, files fs.FS, p plan) []string {
	t.Helper()
	whole, err := loadTree(files)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rules {
		for _, f := range r.apply(whole, p) {
			all = append(all, r.name+" | "+f.String())
		}
	}
	return all
}

func wrongTrees(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "wrong", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no wrong trees: %v", err)
	}
	return names
}

func overlay(lower, upper fstest.MapFS) fstest.MapFS {
	files := maps.Clone(lower)
	for name, file := range upper {
		if string(file.Data) == "#gone\n" {
			delete(files, name)
			continue
		}
		files[name] = file
	}
	return files
}

func readTree(t *testing.T, name string) wrongTree {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tree := wrongTree{files: fstest.MapFS{}}
	file := ""
	for line := range strings.Lines(string(text)) {
		title, isTitle := strings.CutPrefix(line, "-- ")
		switch {
		case isTitle:
			file = strings.TrimSuffix(title, " --\n")
			tree.files[file] = &fstest.MapFile{Mode: 0o644}
		case file == "" && strings.TrimSpace(line) != "":
			tree.wants = append(tree.wants, parseWant(t, line))
		case file != "":
			tree.files[file].Data = append(tree.files[file].Data, fill(line)...)
		}
	}
	return tree
}

func parseWant(t *testing.T, line string) want {
	t.Helper()
	parts := strings.Split(strings.TrimSpace(line), " | ")
	if len(parts) != 3 {
		t.Fatalf("not \"rule | file:line | reason\": %q", line)
	}
	return want{parts[0], parts[1], parts[2]}
}

func fill(line string) string {
	count, ok := strings.CutPrefix(strings.TrimSpace(line), "#fill ")
	n, err := strconv.Atoi(count)
	if !ok || err != nil {
		return line
	}
	return strings.Repeat("// fill\n", n)
}
