package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestListsOfCommandsAreSorted(t *testing.T) {
	t.Parallel()
	var check func(typ reflect.Type)
	check = func(typ reflect.Type) {
		var names []string
		for field := range typ.Fields() {
			if _, ok := field.Tag.Lookup("cmd"); !ok {
				continue
			}
			names = append(names, strings.ToLower(field.Name))
			check(field.Type)
		}
		if !slices.IsSorted(names) {
			t.Errorf("%s is not sorted: %v", typ.Name(), names)
		}
	}
	check(reflect.TypeFor[commands]())
}

// leaves lists every command that runs, such as "user add".
func leaves(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, leaf := range model(t).Leaves(false) {
		all = append(all, strings.TrimPrefix(leaf.FullPath(), "wafer "))
	}
	if len(all) < 20 {
		t.Fatalf("only %d commands: %v", len(all), all)
	}
	return all
}

func model(t *testing.T) *kong.Application {
	t.Helper()
	p, err := newParser(&commands{}, terminal{out: io.Discard, err: io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return p.Model
}

func TestEveryCommandHasAFileAndAScript(t *testing.T) {
	t.Parallel()
	var names []string
	for _, cmd := range model(t).Children {
		names = append(names, cmd.Name)
		if _, err := os.Stat(cmd.Name + ".go"); err != nil {
			t.Errorf("command %s: %v", cmd.Name, err)
		}
		if _, err := os.Stat(filepath.Join("testdata", cmd.Name+".txt")); err != nil {
			t.Errorf("command %s has no script: %v", cmd.Name, err)
		}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".txt"); !slices.Contains(names, name) {
			t.Errorf("%s is the script of no command", file)
		}
	}
}

// A script that leaves out a command, JSON, or what goes wrong proves too little.
func TestEveryScriptIsWhole(t *testing.T) {
	t.Parallel()
	for _, leaf := range leaves(t) {
		name, _, _ := strings.Cut(leaf, " ")
		var ran, asJSON, refused, mistyped bool
		for _, st := range readScript(t, filepath.Join("testdata", name+".txt")) {
			ours := strings.HasPrefix(st.text, "$ ") && strings.Contains(st.text+" ", " "+leaf+" ")
			ran = ran || ours && st.exit == "" || name == "serve" && strings.HasPrefix(st.text, "serve")
			ran = ran || name == "relay" // it runs until it is stopped: TestRelayPassesTheFeedOn
			asJSON = asJSON || ours && st.json || name == "serve" || name == "relay"
			refused, mistyped = refused || st.exit == "1", mistyped || st.exit == "2"
		}
		if !ran || !asJSON {
			t.Errorf("wafer %s: its script must run it with success, and once with --json", leaf)
		}
		if !refused || !mistyped {
			t.Errorf("testdata/%s.txt: one command must end with status 1 and one with 2", name)
		}
	}
}

func TestHelpOfEveryCommandHasAnExampleThatParses(t *testing.T) {
	t.Parallel()
	for _, leaf := range leaves(t) {
		t.Run(leaf, func(t *testing.T) {
			t.Parallel()
			out, errs, code := wafer(t, "", append(strings.Fields(leaf), "--help")...)
			_, examples, found := strings.Cut(out, "Example")
			if code != 0 || errs != "" || !found {
				t.Fatalf("status %d, no example in\n%s%s", code, out, errs)
			}
			examples, _, _ = strings.Cut(examples, "\nFlags:\n")
			ours := 0
			for line := range strings.Lines(examples) {
				_, line, found := strings.Cut(strings.TrimSpace(line), "wafer ")
				if !found {
					continue
				}
				if strings.Contains(line, leaf) {
					ours++
				}
				if problem := parseOnly(t, line); problem != "" {
					t.Errorf("wafer %s: %s", line, problem)
				}
			}
			if ours == 0 {
				t.Errorf("no example of wafer %s in\n%s", leaf, examples)
			}
		})
	}
}

// parseOnly returns what is wrong with a command line, "" for nothing. That a file
// it names is not there is not wrong with the line.
func parseOnly(t *testing.T, line string) string {
	t.Helper()
	for _, end := range []string{" #", " | ", " > ", " < ", " && ", " &"} {
		line, _, _ = strings.Cut(line, end)
	}
	exited := false
	p, err := newParser(&commands{}, terminal{out: io.Discard, err: io.Discard}, func(int) { exited = true })
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(words(line))
	if err == nil || exited || strings.Contains(err.Error(), "no such file or directory") {
		return ""
	}
	return err.Error()
}

func TestParseOnlySeesMistakes(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"user add x", "--version", "apply -f not-there.yaml", "user list > file"} {
		if problem := parseOnly(t, line); problem != "" {
			t.Errorf("wafer %s: %s", line, problem)
		}
	}
	for _, line := range []string{"usr add x", "user add", "user add x --bogus", "apply", "serve extra"} {
		if parseOnly(t, line) == "" {
			t.Errorf("wafer %s: no mistake was seen", line)
		}
	}
}

func TestNoArgumentsShowHelp(t *testing.T) {
	t.Parallel()
	out, errs, code := wafer(t, "")
	if code != 0 || errs != "" || !strings.Contains(out, "Start here:") {
		t.Errorf("status %d\n%s%s", code, out, errs)
	}
}

func TestVersionNamesTheSource(t *testing.T) {
	t.Parallel()
	out, errs, code := wafer(t, "", "--version")
	if code != 0 || errs != "" || !strings.HasPrefix(out, "wafer ") || !strings.Contains(out, " go1.") {
		t.Errorf("status %d\n%s%s", code, out, errs)
	}
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}
	cases := []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"released", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: commit}, "v1.2.3"},
		{"checkout", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit}, "development 0123456789ab+changes"},
		{"clean checkout", debug.BuildInfo{Settings: commit[:1]}, "development 0123456789ab"},
		{"nothing noted", debug.BuildInfo{}, "development"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := versionOf(&tc.info); got != tc.want {
				t.Errorf("version is %q, want %q", got, tc.want)
			}
		})
	}
}

// Not parallel: the environment is the process's. A name that is set for some other
// program must not choose whom a command is about.
func TestEnvironmentStandsForFlagsOfServeOnly(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WAFER_DATA", filepath.Join(dir, "data"))
	t.Setenv("WAFER_USER", "ada@example.com")
	t.Setenv("WAFER_VERSION", "3")
	t.Setenv("WAFER_LISTEN", "0.0.0.0:9")
	if _, errs, code := wafer(t, "", "revoke"); code != 2 || !strings.Contains(errs, "missing flags") {
		t.Errorf("revoke: status %d\n%s", code, errs)
	}
	if _, errs, code := wafer(t, "", "serve"); code != 1 || !strings.Contains(errs, `listen "0.0.0.0:9"`) {
		t.Errorf("serve: status %d\n%s", code, errs)
	}
	if out, errs, code := wafer(t, "", "role", "add", "clerk"); code != 0 || out != "Role clerk added.\n" {
		t.Errorf("role add: status %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "wafer.db")); err != nil {
		t.Errorf("WAFER_DATA is not used: %v", err)
	}
}
