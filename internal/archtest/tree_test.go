package archtest

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A tree is the repository as the rules see it: every module, every package, every text file.
type tree struct {
	fsys     fs.FS
	fset     *token.FileSet
	modules  []*module
	packages map[string]*pkg // by folder
	texts    map[string]string
	broken   []finding // files that do not parse
}

type module struct {
	dir, path string
	file      string
	requires  []require
}

type require struct {
	path string
	line int
}

type pkg struct {
	dir    string
	module *module
	files  []*source
}

type source struct {
	path string
	test bool
	pkg  *pkg
	ast  *ast.File
}

// A finding is one line of the tree that breaks the plan.
type finding struct {
	file   string
	line   int
	reason string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.reason)
}

const largestText = 1 << 20

// loadTree reads the whole repository, nested modules included.
func loadTree(fsys fs.FS) (*tree, error) {
	t := &tree{fsys: fsys, fset: token.NewFileSet(), packages: map[string]*pkg{}, texts: map[string]string{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipFolder(name)
		}
		return t.read(name, entry)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range t.packages {
		p.module = t.moduleOf(p.dir)
		slices.SortFunc(p.files, func(a, b *source) int { return cmp.Compare(a.path, b.path) })
	}
	return t, nil
}

func skipFolder(name string) error {
	switch path.Base(name) {
	case ".git", "node_modules", "vendor":
		return fs.SkipDir
	}
	switch name {
	case "bin", "wafer-data", "bench/results":
		return fs.SkipDir
	}
	return nil
}

func (t *tree) read(name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > largestText {
		return nil
	}
	text, err := fs.ReadFile(t.fsys, name)
	if err != nil {
		return err
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil
	}
	t.texts[name] = string(text)
	if slices.Contains(strings.Split(name, "/"), "testdata") {
		return nil
	}
	switch {
	case path.Base(name) == "go.mod":
		t.modules = append(t.modules, parseModule(name, string(text)))
	case strings.HasSuffix(name, ".go"):
		t.parse(name, text)
	}
	return nil
}

func (t *tree) parse(name string, text []byte) {
	parsed, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, finding{name, 1, "does not parse: " + err.Error()})
		return
	}
	dir := path.Dir(name)
	p := t.packages[dir]
	if p == nil {
		p = &pkg{dir: dir}
		t.packages[dir] = p
	}
	p.files = append(p.files, &source{path: name, test: strings.HasSuffix(name, "_test.go"), pkg: p, ast: parsed})
}

// parseModule reads what the rules need of a go.mod: the module's path and what it requires.
func parseModule(name, text string) *module {
	m := &module{dir: path.Dir(name), file: name}
	block := ""
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == ")":
			block = ""
		case len(fields) == 2 && fields[1] == "(":
			block = fields[0]
		case fields[0] == "module" && len(fields) > 1:
			m.path = fields[1]
		case block == "require":
			m.requires = append(m.requires, require{fields[0], i + 1})
		case fields[0] == "require" && len(fields) > 1:
			m.requires = append(m.requires, require{fields[1], i + 1})
		}
	}
	return m
}

// moduleOf returns the innermost module a folder belongs to, or an empty one.
func (t *tree) moduleOf(dir string) *module {
	found := &module{}
	for _, m := range t.modules {
		if under(dir, m.dir) && (found.dir == "" || len(m.dir) > len(found.dir) || found.dir == ".") {
			found = m
		}
	}
	return found
}

// sorted returns the packages by folder, so that findings come in one order.
func (t *tree) sorted() []*pkg {
	all := make([]*pkg, 0, len(t.packages))
	for _, p := range t.packages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return cmp.Compare(a.dir, b.dir) })
	return all
}

// sources returns every Go file outside testdata.
func (t *tree) sources() []*source {
	var all []*source
	for _, p := range t.sorted() {
		all = append(all, p.files...)
	}
	return all
}

// documents returns the names of the Markdown files outside testdata, sorted.
func (t *tree) documents() []string {
	var names []string
	for name := range t.texts {
		if strings.HasSuffix(name, ".md") && !strings.Contains("/"+name, "/testdata/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (t *tree) exists(name string) bool {
	_, err := fs.Stat(t.fsys, path.Clean(name))
	return err == nil
}

func (t *tree) at(s *source, pos token.Pos, reason string) finding {
	return finding{s.path, t.fset.Position(pos).Line, reason}
}

// name is what the package calls itself, without the _test of an outside test.
func (p *pkg) name() string {
	for _, s := range p.files {
		if !s.test {
			return s.ast.Name.Name
		}
	}
	return strings.TrimSuffix(p.files[0].ast.Name.Name, "_test")
}

func importPath(spec *ast.ImportSpec) string {
	name, _ := strconv.Unquote(spec.Path.Value)
	return name
}

// folderOf returns the folder an import path of ours names, or "" for a stranger's.
func (p plan) folderOf(imported string) string {
	if imported == p.module {
		return "."
	}
	dir, ours := strings.CutPrefix(imported, p.module+"/")
	if !ours {
		return ""
	}
	return dir
}

// under tells whether a folder is another or lies below it; everything is under ".".
func under(dir, top string) bool {
	return top == "." || dir == top || strings.HasPrefix(dir, top+"/")
}

func underAny(dir string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return under(dir, top) })
}
