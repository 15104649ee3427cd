package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A script in testdata is a list of steps. Everything a step prints must be said,
// line by line, in `out:` and `err:` lines below it:
//
//	# a comment
//	$ wafer user add ada@example.com --password-stdin     runs a command on a fresh data folder
//	< correct-horse-battery-staple                        a line of its standard input
//	out: User ada@example.com added as {ID:usr_\w+}.      ... stands for anything; {NAME:regexp} keeps it as $NAME
//	out: ...                                              any number of lines
//	err: wafer: ...                                       the same for standard error
//	exit: 1                                               the status; 0 when left out
//	json                                                  standard output is valid JSON, and not said otherwise
//
//	file setup.yaml                                       writes $DIR/setup.yaml, from the lines that follow
//	| apis: []
//	serve --session-idle 1h                               runs a server on the data folder, until the script ends or
//	stop                                                  out: lines are what it printed
//	> POST /session {"login":"ada@example.com"}           asks the server, with the cookie it set last
//	status: 201                                           the answer's status; out: lines are its body
//
// $DIR is the script's own folder. A command line is split at spaces; ' quotes.
func TestCommandsBehaveAsTheirScriptsSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := &script{t: t, file: file, dir: dir, vars: map[string]string{"DIR": dir}}
			for _, st := range readScript(t, file) {
				s.run(st)
			}
		})
	}
}

// scriptStep is one step as it stands in the file.
type scriptStep struct {
	line     int
	text     string
	in       []string
	out, err []string
	exit     string
	status   string
	json     bool
}

func readScript(t *testing.T, file string) []scriptStep {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var steps []scriptStep
	for i, line := range strings.Split(string(b), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if line == "" || word == "#" {
			continue
		}
		if word == "$" || word == ">" || word == "file" || word == "serve" || word == "stop" {
			steps = append(steps, scriptStep{line: i + 1, text: line})
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("%s:%d: no step stands before %q", file, i+1, line)
		}
		st := &steps[len(steps)-1]
		switch word {
		case "<", "|":
			st.in = append(st.in, rest)
		case "out:":
			st.out = append(st.out, rest)
		case "err:":
			st.err = append(st.err, rest)
		case "exit:":
			st.exit = rest
		case "status:":
			st.status = rest
		case "json":
			st.json = true
		default:
			t.Fatalf("%s:%d: cannot read %q", file, i+1, line)
		}
	}
	return steps
}

// script is a script under way.
type script struct {
	t      *testing.T
	file   string
	dir    string
	at     int
	vars   map[string]string
	server *running
	cookie string
}

func (s *script) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s", s.file, s.at, fmt.Sprintf(format, args...))
}

func (s *script) run(st scriptStep) {
	s.t.Helper()
	s.at = st.line
	word, rest, _ := strings.Cut(s.fill(st.text), " ")
	switch word {
	case "$":
		s.command(st, rest)
	case ">":
		s.request(st, rest)
	case "file":
		var text strings.Builder
		for _, line := range st.in {
			text.WriteString(s.fill(line) + "\n")
		}
		write(s.t, s.dir, rest, text.String())
	case "serve":
		s.server = serve(s.t, s.data(), words(rest)...)
		s.match("server", st.out, s.server.out.String())
	case "stop":
		s.server.stop()
	}
}

func (s *script) data() string { return filepath.Join(s.dir, "data") }

func (s *script) command(st scriptStep, line string) {
	s.t.Helper()
	args := words(line)
	if len(args) == 0 || args[0] != "wafer" {
		s.fatalf("a command begins with wafer: %q", line)
	}
	args = args[1:]
	if !strings.Contains(line, "--data ") {
		args = append([]string{"--data", s.data()}, args...)
	}
	in := ""
	for _, l := range st.in {
		in += s.fill(l) + "\n"
	}
	out, errs, code := wafer(s.t, in, args...)
	want := st.exit
	if want == "" {
		want = "0"
	}
	if fmt.Sprint(code) != want {
		s.fatalf("%s: exit status %d, want %s\n%s%s", line, code, want, out, errs)
	}
	s.match("standard error", st.err, errs)
	if st.json {
		if !json.Valid([]byte(out)) {
			s.fatalf("%s: standard output is not JSON:\n%s", line, out)
		}
		if len(st.out) == 0 {
			return
		}
	}
	s.match("standard output", st.out, out)
}

func (s *script) request(st scriptStep, line string) {
	s.t.Helper()
	parts := strings.SplitN(line, " ", 3)
	a := ask{method: parts[0], path: parts[1], cookie: s.cookie}
	if len(parts) == 3 {
		if !json.Valid([]byte(parts[2])) {
			s.fatalf("the body is not JSON: %s", parts[2])
		}
		a.json = json.RawMessage(parts[2])
	}
	res := s.server.do(a)
	if fmt.Sprint(res.StatusCode) != st.status {
		s.fatalf("%s: status %d, want %s\n%s", line, res.StatusCode, st.status, res.text)
	}
	for _, c := range res.Cookies() {
		if c.Name == "__Host-Http-wafer" {
			s.cookie = c.Value
		}
	}
	if res.StatusCode != http.StatusNoContent {
		s.match("body", st.out, res.text)
	}
}

// fill puts in what $NAME stands for.
func (s *script) fill(text string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		v, ok := s.vars[name[1:]]
		if !ok {
			s.fatalf("%s stands for nothing yet", name)
		}
		return v
	})
}

var (
	variable = regexp.MustCompile(`\$[A-Z]+`)
	wildcard = regexp.MustCompile(`\.\.\.|\{[A-Z]+:[^}]*\}`)
)

// match compares what was printed with the lines that say so, and keeps what they
// name.
func (s *script) match(what string, want []string, got string) {
	s.t.Helper()
	var p strings.Builder
	var names []string
	p.WriteString(`\A`)
	for _, line := range want {
		if line == "..." {
			p.WriteString(`(?:.*\n)*`)
			continue
		}
		line = s.fill(line)
		last := 0
		for _, at := range wildcard.FindAllStringIndex(line, -1) {
			p.WriteString(regexp.QuoteMeta(line[last:at[0]]))
			last = at[1]
			if hit := line[at[0]:at[1]]; hit == "..." {
				p.WriteString(`.*`)
			} else {
				name, expr, _ := strings.Cut(strings.Trim(hit, "{}"), ":")
				names = append(names, name)
				p.WriteString(`(` + expr + `)`)
			}
		}
		p.WriteString(regexp.QuoteMeta(line[last:]) + `\n`)
	}
	p.WriteString(`\z`)
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	found := regexp.MustCompile(p.String()).FindStringSubmatch(got)
	if found == nil {
		s.fatalf("%s is\n%swant\n%s", what, got, strings.Join(want, "\n"))
	}
	for i, name := range names {
		s.vars[name] = found[i+1]
	}
}

// words splits a command line as a shell would, as far as the scripts need it.
func words(line string) []string {
	var out []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		out = append(out, word.String())
	}
	return out
}
