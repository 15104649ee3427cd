package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
)

// Documents are kept true here. A fenced block of README.md and docs/*.md with
//
//	<!-- file NAME -->   above it is written into a folder of the document's own
//	<!-- run -->         above it is run there, by bash, one after the other; every `# => text`
//	                     in it must come in what was printed, in that order
//	<!-- from FILE -->   above it is taken from a file of the tree that is tested there
//
// A document with setup.yaml has a server on it, README.md the demo; their
// addresses stand in for those in the text.

// block is one fenced block.
type block struct {
	doc  string
	line int
	lang string
	mark string // what stands in the comment above, "" for none
	text string
}

func (b block) at() string { return fmt.Sprintf("%s:%d", filepath.Base(b.doc), b.line) }

var marker = regexp.MustCompile(`^<!-- (run|file [a-z.]+|from [a-z0-9_./-]+) -->$`)

func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(docs) < 5 {
		t.Fatalf("documents: %v, %v", docs, err)
	}
	return append(docs, "../../README.md")
}

func lines(t *testing.T, doc string) []string {
	t.Helper()
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

func blocks(t *testing.T, doc string) []block {
	t.Helper()
	var all []block
	var open *block
	mark := ""
	for i, line := range lines(t, doc) {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{doc: doc, line: i + 1, lang: lang, mark: mark}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
		mark = ""
		if m := marker.FindStringSubmatch(line); m != nil {
			mark = m[1]
		} else if strings.HasPrefix(line, "<!--") {
			t.Errorf("%s:%d: nobody reads this comment: %s", doc, i+1, line)
		}
	}
	if open != nil {
		t.Errorf("%s: the block is never closed", open.at())
	}
	return all
}

func TestGoInDocumentsCompilesAndPasses(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/documents\n\ngo 1.26.0\n\nrequire github.com/wafer-auth/wafer/verify v0.0.0\n\n"+
		"replace github.com/wafer-auth/wafer/verify => "+filepath.Join(root, "verify")+"\n")
	count := 0
	for _, doc := range documents(t) {
		for _, b := range blocks(t, doc) {
			if b.lang != "go" || strings.HasPrefix(b.mark, "from ") {
				continue
			}
			count++
			name := "block.go"
			if strings.Contains(b.text, "_test\n") {
				name = "block_test.go"
			}
			folder := filepath.Join(dir, strings.TrimSuffix(filepath.Base(doc), ".md")+fmt.Sprint(b.line))
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, folder, name, b.text)
		}
	}
	if count == 0 {
		t.Fatal("there is no Go in the documents")
	}
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", args[0], err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "gofmt", "-l", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("not formatted: %v\n%s", err, out)
	}
}

var fileField = regexp.MustCompile(`_file: ([^\s,}]+)`)

func TestYAMLInDocumentsIsReadAsItSays(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^(apis|clients|roles|users):`)
	count := 0
	for _, doc := range documents(t) {
		for _, b := range blocks(t, doc) {
			if b.lang != "yaml" {
				continue
			}
			count++
			dir := t.TempDir()
			if declared.MatchString(b.text) {
				named(t, dir, b.text)
				if _, _, err := admin.ParseDeclared([]byte(b.text), dir); err != nil {
					t.Errorf("%s: %v", b.at(), err)
				}
				continue
			}
			if problem := parseOnly(t, "--config "+write(t, dir, "wafer.yaml", b.text)+" serve"); problem != "" {
				t.Errorf("%s: %s", b.at(), problem)
			}
		}
	}
	if count == 0 {
		t.Fatal("there is no YAML in the documents")
	}
}

// named writes the files that a set-up names. The key is the P-256 one of RFC 7517
// appendix A.1.
func named(t *testing.T, dir, setup string) {
	t.Helper()
	const jwk = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","alg":"ECDH-ES","kid":"1"}`
	for _, m := range fileField.FindAllStringSubmatch(setup, -1) {
		text := "correct-horse-battery-staple\n"
		if strings.HasSuffix(m[1], ".jwk") {
			text = jwk
		}
		if strings.HasSuffix(m[1], ".jwks") {
			text = `{"keys":[` + strings.NewReplacer(`"enc"`, `"sig"`, "ECDH-ES", "ES256").Replace(jwk) + `]}`
		}
		write(t, dir, filepath.Base(m[1]), text)
	}
}

func TestCommandsInDocumentsPrintWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		needProgram(t, tool)
	}
	bin := t.TempDir() // stays until every document is done
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "wafer"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ran := 0
	for _, doc := range documents(t) {
		all := blocks(t, doc)
		if !slices.ContainsFunc(all, func(b block) bool { return b.mark == "run" }) {
			continue
		}
		ran++
		t.Run(filepath.Base(doc), func(t *testing.T) {
			t.Parallel()
			runDocument(t, bin, filepath.Base(doc) == "README.md", all)
		})
	}
	if ran < 4 {
		t.Errorf("only %d documents have commands that run", ran)
	}
}

func runDocument(t *testing.T, bin string, demo bool, all []block) {
	t.Helper()
	dir := t.TempDir()
	for _, b := range all {
		if name, ok := strings.CutPrefix(b.mark, "file "); ok {
			named(t, dir, b.text)
			write(t, dir, name, b.text)
		}
	}
	places := strings.NewReplacer()
	if demo {
		out, stop := startDemo(t)
		defer stop()
		places = demoPlaces(t, out)
	} else {
		args := []string{}
		if setup := filepath.Join(dir, "setup.yaml"); exists(setup) {
			args = []string{"--apply", setup}
		}
		r := serve(t, filepath.Join(dir, "wafer-data"), args...)
		places = strings.NewReplacer("http://localhost:8080", r.url)
	}
	var script strings.Builder
	script.WriteString("set -eu -o pipefail\nPATH=" + bin + ":$PATH\n")
	var marked []block
	for _, b := range all {
		if b.mark == "run" {
			marked = append(marked, b)
			script.WriteString(places.Replace(b.text) + "\necho; echo '=== end of block'\n")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	parts := strings.Split(string(out), "=== end of block\n")
	for i, b := range marked {
		if i < len(parts) {
			checkPrinted(t, b, places.Replace(b.text), parts[i])
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// checkPrinted looks for what the block says, in order.
func checkPrinted(t *testing.T, b block, text, printed string) {
	t.Helper()
	rest, wants := printed, 0
	for line := range strings.Lines(text) {
		want, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# => ")
		if !ok {
			continue
		}
		wants++
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Errorf("%s: %q is not (or not in this order) in\n%s", b.at(), want, printed)
			return
		}
		rest = after
	}
	if wants == 0 {
		t.Errorf("%s: the block runs, but says nothing that must come", b.at())
	}
}

// demoPlaces maps the addresses and the folder in README.md to those of a demo.
func demoPlaces(t *testing.T, out string) *strings.Replacer {
	t.Helper()
	found := regexp.MustCompile(`wafer    (\S+)   orders (\S+)[\s\S]*--data (\S+)`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("the demo does not say where it is:\n%s", out)
	}
	return strings.NewReplacer("http://localhost:8080", found[1], "http://localhost:8081", found[2], "/tmp/wafer-demo-4099881146", found[3])
}

var (
	commandLine = regexp.MustCompile(`^\s*(?:\$ )?(?:[A-Z]+=\$\()?wafer (.*)`)
	inlineCode  = regexp.MustCompile("`wafer ([^`]*)`")
	unfinished  = regexp.MustCompile(`missing flags|^expected`)
)

func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	t.Parallel()
	count := 0
	check := func(where, line string, whole bool) {
		count++
		line, _, _ = strings.Cut(line, ")")
		problem := parseOnly(t, strings.NewReplacer(`"$KID"`, "KID", ` || true`, "").Replace(line))
		if problem != "" && (whole || !unfinished.MatchString(problem)) {
			t.Errorf("%s: wafer %s: %s", where, line, problem)
		}
	}
	for _, doc := range append(documents(t), "../../CHANGELOG.md") {
		for _, b := range blocks(t, doc) {
			if b.lang != "sh" {
				continue
			}
			for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
				for part := range strings.SplitSeq(line, " | ") {
					if m := commandLine.FindStringSubmatch(strings.TrimSpace(part)); m != nil {
						check(b.at(), m[1], true)
					}
				}
			}
		}
		for i, line := range lines(t, doc) {
			if strings.Contains(line, "not yet") || strings.Contains(line, "a dashboard;") || strings.Contains(line, "push feed") {
				continue // names what is not there
			}
			for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
				check(fmt.Sprintf("%s:%d", filepath.Base(doc), i+1), m[1], false)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d commands found", count)
	}
}

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]+)(?:#([^)]*))?\)`)
	for _, doc := range documents(t) {
		for i, line := range lines(t, doc) {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.HasPrefix(m[1], "https://") {
					continue
				}
				target := filepath.Join(filepath.Dir(doc), m[1])
				if !exists(target) {
					t.Errorf("%s:%d: %s is not there", doc, i+1, m[1])
					continue
				}
				if m[2] != "" && !hasHeading(t, target, m[2]) {
					t.Errorf("%s:%d: %s has no heading #%s", doc, i+1, m[1], m[2])
				}
			}
		}
	}
}

func hasHeading(t *testing.T, doc, anchor string) bool {
	t.Helper()
	return slices.ContainsFunc(lines(t, doc), func(line string) bool {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		return ok && strings.HasPrefix(line, "#") && strings.ReplaceAll(strings.ToLower(title), " ", "-") == anchor
	})
}

// What docs/http.md lists is answered, and no path is left out.
func TestEveryPathInTheDocumentIsAnswered(t *testing.T) {
	t.Parallel()
	r := serve(t, filepath.Join(t.TempDir(), "data"), "--registration", "open")
	row := regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) (/[^`?]*)`")
	seen := map[string]bool{}
	for _, line := range lines(t, "../../docs/http.md") {
		for _, m := range row.FindAllStringSubmatch(line, -1) {
			if seen[m[0]] || strings.Contains(m[2], "{file}") { // whose name is made of what it holds
				continue
			}
			seen[m[0]] = true
			res := r.do(ask{method: m[1], path: strings.NewReplacer("{id}", "x", "{kid}", "x").Replace(m[2])})
			if res.StatusCode == http.StatusMethodNotAllowed || strings.Contains(res.text, "There is nothing here.") {
				t.Errorf("%s %s: %d %s", m[1], m[2], res.StatusCode, res.text)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d paths", len(seen))
	}
}

// Every row of the surfaces for clients and people stands in docs/http.md.
func TestEveryRowIsInTheDocument(t *testing.T) {
	t.Parallel()
	document := strings.Join(lines(t, "../../docs/http.md"), "\n")
	literal := regexp.MustCompile(`"(/[a-z.][a-z./{}-]*)"`)
	count := 0
	for _, file := range []string{"oauth/surface.go", "pages/pages.go", "pages/authorize.go", "pages/endsession.go"} {
		for _, m := range literal.FindAllStringSubmatch(strings.Join(lines(t, "../../internal/web/"+file), "\n"), -1) {
			count++
			if !regexp.MustCompile("`(GET|POST) " + regexp.QuoteMeta(m[1]) + "`").MatchString(document) {
				t.Errorf("docs/http.md does not list %s of %s", m[1], file)
			}
		}
	}
	if count < 25 {
		t.Errorf("only %d paths found", count)
	}
}

func TestEveryReasonIsDocumented(t *testing.T) {
	t.Parallel()
	document := strings.Join(lines(t, "../../docs/verify.md"), "\n")
	source := strings.Join(lines(t, "../../verify/errors.go"), "\n")
	all := regexp.MustCompile(`(Err\w+) +error = &refusal\{"(\w+)"`).FindAllStringSubmatch(source, -1)
	if len(all) < 20 {
		t.Fatalf("only %d reasons", len(all))
	}
	for _, m := range all {
		if !strings.Contains(document, "| `"+m[2]+"` | `"+m[1]+"` |") {
			t.Errorf("docs/verify.md does not list %s (%s)", m[2], m[1])
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	if n := len(lines(t, "../../README.md")); n > 250 {
		t.Errorf("README.md has %d lines", n)
	}
}
