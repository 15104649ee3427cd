package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	architecture = "ARCHITECTURE.md"
	makefile     = "Makefile"
)

// planned is a line of the tree drawn in ARCHITECTURE.md: a folder, two spaces or more, its floor if it has one,
// what it is for.
var planned = regexp.MustCompile(`^([a-z][a-z0-9]*(?:/[a-z0-9]+)*)/?\s{2,}(?:(\d+)\s+)?\S`)

// drawn refuses packages without a line in ARCHITECTURE.md, lines without a package, and lines on a wrong floor.
func drawn(t *tree, p plan) []finding {
	lines := map[string]int{}
	var found []finding
	for i, line := range fenced(t.texts[architecture]) {
		match := planned.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		lines[match[1]] = i + 1
		if f, ok := p.floorOf(match[1]); ok && match[2] != strconv.Itoa(f.number) {
			found = append(found, finding{architecture, i + 1, fmt.Sprintf("draws %s on floor %q: it stands on %d", match[1], match[2], f.number)})
		}
	}
	for _, pk := range t.sorted() {
		if lines[pk.dir] == 0 {
			found = append(found, finding{pk.files[0].path, 1, fmt.Sprintf("no new package without a line in %s: %s has none", architecture, pk.dir)})
		}
	}
	for dir, line := range lines {
		if !t.exists(dir) {
			found = append(found, finding{architecture, line, fmt.Sprintf("draws %s, which is not there", dir)})
		}
	}
	return found
}

// documentSizes refuses documents that have grown past what a newcomer reads.
func documentSizes(t *tree, p plan) []finding {
	var found []finding
	for name, most := range p.documentLines {
		text, ok := t.texts[name]
		if lines := strings.Count(text, "\n"); !ok || lines > most {
			found = append(found, finding{name, max(lines, 1), fmt.Sprintf("has %d lines: there must be one, of at most %d lines", lines, most)})
		}
	}
	return found
}

// fenced returns the lines inside ``` fences; the others are empty, so that numbers stay.
func fenced(text string) []string { return splitFences(text, true) }

// prose returns the lines outside ``` fences; the others are empty.
func prose(text string) []string { return splitFences(text, false) }

func splitFences(text string, inside bool) []string {
	lines := strings.Split(text, "\n")
	in := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence {
			in = !in
		}
		if fence || in != inside {
			lines[i] = ""
		}
	}
	return lines
}

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	linkForm = regexp.MustCompile(`\]\(\s*<?([^)>\s]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|srcset|href)="([^"\s]+)`)
	heading  = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]+`)
)

// links refuses links between our documents that lead nowhere.
func links(t *tree, _ plan) []finding {
	var found []finding
	for _, name := range t.documents() {
		for i, line := range prose(t.texts[name]) {
			for _, match := range linkForm.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
				target := match[1] + match[2] + match[3]
				if reason := t.follow(name, target); reason != "" {
					found = append(found, finding{name, i + 1, reason})
				}
			}
		}
	}
	return found
}

// follow returns why a link of a document leads nowhere, or "".
func (t *tree) follow(from, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if !t.exists(to) {
		return fmt.Sprintf("link to %s leads nowhere", target)
	}
	if anchor != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(t.texts[to]), anchor) {
		return fmt.Sprintf("link to %s: no such heading", target)
	}
	return ""
}

// anchors returns the names a forge gives to the headings of a document.
func anchors(text string) []string {
	var all []string
	for _, line := range prose(text) {
		if match := heading.FindStringSubmatch(line); match != nil {
			slug := notSlug.ReplaceAllString(strings.ToLower(match[1]), "")
			all = append(all, strings.ReplaceAll(slug, " ", "-"))
		}
	}
	return all
}

var (
	pathSpan = regexp.MustCompile("`((?:\\./)?(?:\\.ci|bench|cmd|docs|examples|internal|scripts|verify)/[^`\\s]*)`")
	listSpan = regexp.MustCompile("`([A-Za-z]\\w*)` in `((?:cmd|internal)/[a-z0-9/]+)`")
)

// paths refuses documents that name files and folders which are not there. `internal/grant/<name>.go` promises
// the folder; `./verify/...` promises everything below it.
func paths(t *tree, p plan) []finding {
	var found []finding
	for _, name := range t.documents() {
		if underAny(name, p.history) {
			continue
		}
		for i, line := range prose(t.texts[name]) {
			for _, match := range pathSpan.FindAllStringSubmatch(line, -1) {
				if dir := promised(match[1]); !t.exists(dir) {
					found = append(found, finding{name, i + 1, fmt.Sprintf("names %s, which is not there", match[1])})
				}
			}
		}
	}
	return found
}

// promised cuts a path before its first placeholder.
func promised(name string) string {
	parts := strings.Split(path.Clean(name), "/")
	open := slices.IndexFunc(parts, func(part string) bool { return strings.ContainsAny(part, "<*…") || part == "..." })
	if open >= 0 {
		parts = parts[:open]
	}
	return path.Join(parts...)
}

// lists refuses documents that name a list, as in "`All` in `internal/grant`", which the package does not declare.
func lists(t *tree, p plan) []finding {
	var found []finding
	for _, name := range t.documents() {
		if underAny(name, p.history) {
			continue
		}
		for i, line := range prose(t.texts[name]) {
			for _, match := range listSpan.FindAllStringSubmatch(line, -1) {
				if !t.declares(match[2], match[1]) {
					found = append(found, finding{name, i + 1, fmt.Sprintf("names the list %s in %s, which does not declare it", match[1], match[2])})
				}
			}
		}
	}
	return found
}

// declares tells whether a package, or a Go file, has a top-level name outside its tests.
func (t *tree) declares(dir, name string) bool {
	pk := t.packages[dir]
	if pk == nil {
		return false
	}
	for _, s := range pk.files {
		for _, decl := range s.ast.Decls {
			if !s.test && slices.Contains(declared(decl), name) {
				return true
			}
		}
	}
	return false
}

func declared(decl ast.Decl) []string {
	var all []string
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			all = append(all, decl.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				all = append(all, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					all = append(all, name.Name)
				}
			}
		}
	}
	return all
}

var (
	makeTarget = regexp.MustCompile(`^([a-z][a-z0-9-]*):(?:[^=].*)?$`)
	makeSpan   = regexp.MustCompile("`make ([a-z][a-z0-9-]*)")
)

// targets refuses Makefile targets that `make help` would not show, and documents that name a target which is not there.
// `make help` prints what stands behind ## on the line of a target.
func targets(t *tree, p plan) []finding {
	var found []finding
	var known []string
	for i, line := range strings.Split(t.texts[makefile], "\n") {
		match := makeTarget.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		known = append(known, match[1])
		if _, text, _ := strings.Cut(line, "##"); strings.TrimSpace(text) == "" {
			found = append(found, finding{makefile, i + 1, fmt.Sprintf("target %s has no ## text: `make help` would not show it", match[1])})
		}
	}
	for _, name := range t.documents() {
		if underAny(name, p.history) {
			continue
		}
		for i, line := range strings.Split(t.texts[name], "\n") {
			for _, match := range makeSpan.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(known, match[1]) {
					found = append(found, finding{name, i + 1, fmt.Sprintf("names `make %s`, which the Makefile does not have", match[1])})
				}
			}
		}
	}
	return found
}
