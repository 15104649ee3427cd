package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// parsed refuses files the other rules could not read.
func parsed(t *tree, _ plan) []finding { return t.broken }

// reservedCalls refuses functions kept for others, called or handed on as a value.
func reservedCalls(t *tree, p plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		for _, r := range p.calls {
			if underAny(s.pkg.dir, r.homes) || r.tests && forTests(s) {
				continue
			}
			found = append(found, dotImports(t, s, r)...)
			for _, use := range usesOf(s, r.path) {
				if slices.Contains(r.names, use.Sel.Name) {
					found = append(found, t.at(s, use.Pos(), fmt.Sprintf("%s.%s is kept for %s: %s", r.path, use.Sel.Name, keptFor(r.homes), r.reason)))
				}
			}
		}
	}
	return found
}

// forTests tells a test, and a file of a package that only tests import: its name ends in test.
func forTests(s *source) bool { return s.test || strings.HasSuffix(s.pkg.name(), "test") }

func dotImports(t *tree, s *source, r reservedCall) []finding {
	for _, spec := range s.ast.Imports {
		if importPath(spec) == r.path && spec.Name != nil && spec.Name.Name == "." {
			return []finding{t.at(s, spec.Pos(), fmt.Sprintf("dot import of %s would hide reserved calls", r.path))}
		}
	}
	return nil
}

// usesOf returns the selectors of a package in a file, under whatever name it was imported.
func usesOf(s *source, imported string) []*ast.SelectorExpr {
	local := localName(s, imported)
	if local == "" {
		return nil
	}
	var uses []*ast.SelectorExpr
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if use, ok := n.(*ast.SelectorExpr); ok && isIdent(use.X, local) {
			uses = append(uses, use)
		}
		return true
	})
	return uses
}

// localName is what a file calls an import, or "" when it does not import it.
func localName(s *source, imported string) string {
	for _, spec := range s.ast.Imports {
		if importPath(spec) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// noInit refuses init functions: what runs must be seen in internal/app.
func noInit(t *tree, _ plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		for _, fn := range functions(s) {
			if fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, t.at(s, fn.Pos(), "init function: internal/app builds everything, where it can be read"))
			}
		}
	}
	return found
}

func functions(s *source) []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, decl := range s.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			all = append(all, fn)
		}
	}
	return all
}

// names refuses package names that say nothing about what is inside.
func names(t *tree, p plan) []finding {
	var found []finding
	for _, pk := range t.sorted() {
		for _, name := range []string{pk.name(), path.Base(pk.dir)} {
			if slices.Contains(p.badNames, name) {
				found = append(found, finding{pk.files[0].path, 1, fmt.Sprintf("package name %q says nothing: name what is inside", name)})
				break
			}
		}
	}
	return found
}

// docFiles refuses packages that do not say, in doc.go, what they are for.
func docFiles(t *tree, _ plan) []finding {
	var found []finding
	for _, pk := range t.sorted() {
		i := slices.IndexFunc(pk.files, func(s *source) bool { return path.Base(s.path) == "doc.go" })
		if i < 0 {
			found = append(found, finding{pk.files[0].path, 1, fmt.Sprintf("package %s has no doc.go: its first sentence says what the package is for", pk.dir)})
			continue
		}
		doc := pk.files[i].ast.Doc.Text()
		if doc == "" || pk.name() != "main" && !strings.HasPrefix(doc, "Package "+pk.name()+" ") {
			found = append(found, finding{pk.files[i].path, 1, fmt.Sprintf("doc.go does not begin with a comment \"Package %s ...\"", pk.name())})
		}
	}
	return found
}

// sizes refuses long files and functions. A table in a test is data: its lines do not count as code.
func sizes(t *tree, p plan) []finding {
	var found []finding
	needed := map[string]bool{}
	for _, s := range t.sources() {
		if lines := strings.Count(t.texts[s.path], "\n"); lines > p.fileLines {
			needed[s.path] = true
			if p.longer[s.path] == "" {
				found = append(found, finding{s.path, lines, fmt.Sprintf("file of %d lines: %d is the end, one subject a file", lines, p.fileLines)})
			}
		}
		for _, fn := range functions(s) {
			lines := t.linesOf(fn)
			if s.test {
				lines -= t.tableLines(fn)
			}
			name := s.path + ":" + functionName(fn)
			if lines <= p.functionLines {
				continue
			}
			needed[name] = true
			if p.longer[name] == "" {
				found = append(found, t.at(s, fn.Pos(), fmt.Sprintf("%s has %d lines: %d is the end", functionName(fn), lines, p.functionLines)))
			}
		}
	}
	for name := range p.longer {
		if !needed[name] {
			found = append(found, finding{"internal/archtest/plan_test.go", 1, fmt.Sprintf("size exception %s is not needed any more", name)})
		}
	}
	return found
}

func (t *tree) linesOf(n ast.Node) int {
	return t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
}

// tableLines counts the lines inside the composite literals of a function, each once.
func (t *tree) tableLines(fn *ast.FuncDecl) int {
	lines := 0
	ast.Inspect(fn, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		lines += t.linesOf(literal) - 1
		return false
	})
	return lines
}

func functionName(fn *ast.FuncDecl) string {
	if receiver := receiverName(fn); receiver != "" {
		return receiver + "." + fn.Name.Name
	}
	return fn.Name.Name
}

func receiverName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	return typeName(fn.Recv.List[0].Type)
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// selfEvident are the methods whose contract the standard library states.
var selfEvident = []string{"Error", "Format", "GoString", "LogValue", "MarshalJSON", "MarshalText", "Read", "ServeHTTP", "String", "UnmarshalJSON", "UnmarshalText", "Unwrap", "Write"}

// comments refuses exported names that do not state their contract.
func comments(t *tree, _ plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		if s.test || s.pkg.name() == "main" {
			continue
		}
		for _, decl := range s.ast.Decls {
			for _, name := range uncommented(decl) {
				found = append(found, t.at(s, name.Pos(), fmt.Sprintf("exported %s has no comment: state its contract", name.Name)))
			}
		}
	}
	return found
}

func uncommented(decl ast.Decl) []*ast.Ident {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		receiver := receiverName(decl)
		reachable := receiver == "" || ast.IsExported(receiver) && !slices.Contains(selfEvident, decl.Name.Name)
		if decl.Doc.Text() == "" && decl.Name.IsExported() && reachable {
			return []*ast.Ident{decl.Name}
		}
	case *ast.GenDecl:
		return uncommentedSpecs(decl)
	}
	return nil
}

func uncommentedSpecs(decl *ast.GenDecl) []*ast.Ident {
	var bare []*ast.Ident
	grouped := decl.Doc.Text() != ""
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc.Text() == "" && spec.Comment.Text() == "" && (decl.Lparen.IsValid() || !grouped) {
				bare = append(bare, spec.Name)
			}
		case *ast.ValueSpec:
			if grouped || spec.Doc.Text() != "" || spec.Comment.Text() != "" {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					bare = append(bare, name)
				}
			}
		}
	}
	return bare
}

// skips refuses skipped tests that do not say why.
func skips(t *tree, _ plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isTestingType(call.Fun) {
				return true
			}
			switch call.Fun.(*ast.SelectorExpr).Sel.Name {
			case "SkipNow":
				found = append(found, t.at(s, call.Pos(), "SkipNow hides its reason: use Skip with a text"))
			case "Skip", "Skipf":
				if len(call.Args) == 0 || isEmptyText(call.Args[0]) {
					found = append(found, t.at(s, call.Pos(), "skipped test without a reason"))
				}
			}
			return true
		})
	}
	return found
}

// isTestingType guesses from its name that a receiver is a *testing.T, B, F or TB.
func isTestingType(fun ast.Expr) bool {
	selector, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	receiver, ok := selector.X.(*ast.Ident)
	return ok && slices.Contains([]string{"t", "b", "f", "tb", "test"}, receiver.Name)
}

func isEmptyText(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return false
	}
	text, err := strconv.Unquote(literal.Value)
	return err == nil && strings.TrimSpace(text) == ""
}

// sleeps refuses tests that wait for the clock. In a synctest bubble the clock is the test's own.
func sleeps(t *tree, _ plan) []finding {
	var found []finding
	for _, s := range t.sources() {
		if !forTests(s) {
			continue
		}
		bubbles := bubblesOf(s)
		for _, use := range usesOf(s, "time") {
			inBubble := slices.ContainsFunc(bubbles, func(b ast.Node) bool { return b.Pos() <= use.Pos() && use.End() <= b.End() })
			if use.Sel.Name == "Sleep" && !inBubble {
				found = append(found, t.at(s, use.Pos(), "time.Sleep in a test: wait for the event, or own the clock (testing/synctest)"))
			}
		}
	}
	return found
}

// bubblesOf returns the calls into synctest, with the functions handed to them, and the functions that wait for
// the other goroutines of their bubble: outside of one, that wait panics.
func bubblesOf(s *source) []ast.Node {
	local := localName(s, "testing/synctest")
	if local == "" {
		return nil
	}
	var bubbles []ast.Node
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if isCallOf(n, local, "Test") {
				bubbles = append(bubbles, n)
			}
		case *ast.FuncDecl:
			if waitsInBubble(n, local) {
				bubbles = append(bubbles, n)
			}
		}
		return true
	})
	return bubbles
}

func waitsInBubble(fn *ast.FuncDecl, local string) bool {
	waits := false
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && isCallOf(call, local, "Test") {
			return false
		}
		waits = waits || ok && isCallOf(call, local, "Wait")
		return true
	})
	return waits
}

func isCallOf(call *ast.CallExpr, local, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	return ok && isIdent(selector.X, local) && selector.Sel.Name == name
}

// words refuses files that mention the place they were written in.
func words(t *tree, p plan) []finding {
	var found []finding
	for name, text := range t.texts {
		if underAny(name, p.badWordsSpared) {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			for _, word := range p.badWords {
				if strings.Contains(line, word) {
					found = append(found, finding{name, i + 1, fmt.Sprintf("mentions %q, which a reader elsewhere cannot know", word)})
				}
			}
		}
	}
	return found
}
