package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// placed refuses packages that stand on no floor.
func placed(t *tree, p plan) []finding {
	var found []finding
	for _, pk := range t.sorted() {
		if !under(pk.dir, "internal") && !under(pk.dir, "cmd") {
			continue
		}
		if _, ok := p.floorOf(pk.dir); !ok {
			found = append(found, finding{pk.files[0].path, 1,
				fmt.Sprintf("package %s has no floor: no new package without a word in internal/archtest/plan_test.go and a line in ARCHITECTURE.md", pk.dir)})
		}
	}
	return found
}

// floors refuses imports that go up or sideways. Tests may climb: flows are tested against store/memory.
func floors(t *tree, p plan) []finding {
	var found []finding
	needed := map[sideway]bool{}
	for _, s := range t.sources() {
		from, ok := p.floorOf(s.pkg.dir)
		if !ok || s.test {
			continue
		}
		for _, spec := range s.ast.Imports {
			target := p.folderOf(importPath(spec))
			to, ok := p.floorOf(target)
			if !ok || to.number < from.number {
				continue
			}
			if allowed, ok := p.sidewayOf(s.pkg.dir, target); ok && to.number == from.number {
				needed[allowed] = true
				continue
			}
			found = append(found, t.at(s, spec.Pos(), fmt.Sprintf("%s (floor %d, %s) imports %s (floor %d, %s): imports go down, never sideways",
				s.pkg.dir, from.number, from.name, target, to.number, to.name)))
		}
	}
	for _, exception := range p.sideways {
		if !needed[exception] {
			found = append(found, finding{"internal/archtest/plan_test.go", 1,
				fmt.Sprintf("sideways exception %s -> %s is not needed any more", exception.from, exception.to)})
		}
	}
	return found
}

// banned refuses the imports that no floor forbids and the plan does.
func banned(t *tree, p plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		for _, spec := range s.ast.Imports {
			target := p.folderOf(importPath(spec))
			if target == "" {
				continue
			}
			for _, b := range p.bans {
				if under(s.pkg.dir, b.from) && under(target, b.to) && !underAny(target, b.unless) && (b.tests || !s.test) {
					found = append(found, t.at(s, spec.Pos(), fmt.Sprintf("%s imports %s: %s", s.pkg.dir, target, b.reason)))
				}
			}
		}
	}
	return found
}

// reservedImports refuses packages kept for others.
func reservedImports(t *tree, p plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		for _, spec := range s.ast.Imports {
			for _, r := range p.imports {
				if under(importPath(spec), r.path) && !underAny(s.pkg.dir, r.homes) {
					found = append(found, t.at(s, spec.Pos(), fmt.Sprintf("%s imports %s, which is kept for %s: %s",
						s.pkg.dir, importPath(spec), keptFor(r.homes), r.reason)))
				}
			}
		}
	}
	return found
}

// stdlibOnly refuses strangers in the modules that promise to have none.
func stdlibOnly(t *tree, p plan) []finding {
	var found []finding
	for _, m := range t.modules {
		if !slices.Contains(p.stdlibOnly, m.dir) {
			continue
		}
		for _, r := range m.requires {
			found = append(found, finding{m.file, r.line,
				fmt.Sprintf("module %s requires %s: it uses the standard library only", m.dir, r.path)})
		}
		for _, s := range t.sources() {
			if s.pkg.module != m {
				continue
			}
			for _, spec := range s.ast.Imports {
				imported := importPath(spec)
				if !standard(imported) && !under(imported, m.path) {
					found = append(found, t.at(s, spec.Pos(), fmt.Sprintf("module %s imports %s: it uses the standard library only", m.dir, imported)))
				}
			}
		}
	}
	return found
}

// modulesTested refuses a module that the Makefile, and so every test run, has forgotten.
func modulesTested(t *tree, _ plan) []finding {
	line, listed := makeVariable(t.texts[makefile], "MODULES")
	var found []finding
	for _, m := range t.modules {
		if !slices.Contains(listed, m.dir) {
			found = append(found, finding{m.file, 1, fmt.Sprintf("module %s is not in MODULES of %s: nobody would test it", m.dir, makefile)})
		}
	}
	for _, dir := range listed {
		if !slices.ContainsFunc(t.modules, func(m *module) bool { return m.dir == dir }) {
			found = append(found, finding{makefile, line, fmt.Sprintf("MODULES names %s, which has no go.mod", dir)})
		}
	}
	return found
}

// makeVariable returns the line and the words of a variable set once in a Makefile.
func makeVariable(text, name string) (line int, words []string) {
	for i, row := range strings.Split(text, "\n") {
		left, right, ok := strings.Cut(row, "=")
		if ok && strings.TrimRight(left, " :?") == name {
			return i + 1, strings.Fields(right)
		}
	}
	return 1, nil
}

// floorOf returns the floor of a package, by its folder.
func (p plan) floorOf(dir string) (floor, bool) {
	for _, f := range p.floors {
		for _, name := range strings.Fields(f.packages) {
			if dir == name && under(name, "cmd") || dir == "internal/"+name {
				return f, true
			}
		}
	}
	return floor{}, false
}

func (p plan) sidewayOf(from, to string) (sideway, bool) {
	for _, s := range p.sideways {
		if "internal/"+s.from == from && "internal/"+s.to == to && s.reason != "" {
			return s, true
		}
	}
	return sideway{}, false
}

// standard tells a package of the standard library by its path: no dot in the first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func keptFor(homes []string) string {
	if len(homes) == 0 {
		return "nobody"
	}
	return strings.Join(homes, ", ")
}
