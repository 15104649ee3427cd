package archtest

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
)

// rules are all the ways a line can be wrong, sorted by name. Each has a wrong tree in testdata/wrong.
var rules = []rule{
	{"banned imports", banned},
	{"comments on exported names", comments},
	{"doc.go in every package", docFiles},
	{"documents of bounded length", documentSizes},
	{"floors", floors},
	{"links resolve", links},
	{"lists named in documents exist", lists},
	{"make targets are explained", targets},
	{"modules are all tested", modulesTested},
	{"names of packages", names},
	{"no init functions", noInit},
	{"no sleep in tests", sleeps},
	{"packages are drawn in ARCHITECTURE.md", drawn},
	{"packages have a floor", placed},
	{"parses", parsed},
	{"paths named in documents exist", paths},
	{"reserved calls", reservedCalls},
	{"reserved imports", reservedImports},
	{"sizes of files and functions", sizes},
	{"skips have reasons", skips},
	{"standard library only", stdlibOnly},
	{"words of no use to a reader", words},
}

// A rule compares a tree with a plan and returns every line that breaks it.
type rule struct {
	name  string
	check func(*tree, plan) []finding
}

// apply returns what a rule finds, in the order of the tree.
func (r rule) apply(t *tree, p plan) []finding {
	found := r.check(t, p)
	slices.SortFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.reason, b.reason))
	})
	return found
}

func TestHouseFollowsItsPlan(t *testing.T) {
	t.Parallel()
	whole, err := loadTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.modules) < 2 || len(whole.packages) < 2 {
		t.Fatalf("found %d modules and %d packages: not the root of the repository", len(whole.modules), len(whole.packages))
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range r.apply(whole, house) {
				t.Error(f)
			}
		})
	}
}

func TestPlanGivesEachPackageOneFloor(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i, f := range house.floors {
		if f.number != i {
			t.Errorf("floor %q has number %d at place %d", f.name, f.number, i)
		}
		words := strings.Fields(f.packages)
		if !slices.IsSorted(words) {
			t.Errorf("floor %q: packages are not sorted: %v", f.name, words)
		}
		for _, name := range words {
			if seen[name] {
				t.Errorf("package %s stands on two floors", name)
			}
			seen[name] = true
		}
	}
}

func TestPlanGivesEachExceptionAReason(t *testing.T) {
	t.Parallel()
	for _, s := range house.sideways {
		if s.reason == "" {
			t.Errorf("sideways exception %s -> %s has no reason", s.from, s.to)
		}
	}
	for name, reason := range house.longer {
		if reason == "" {
			t.Errorf("size exception %s has no reason", name)
		}
	}
}
