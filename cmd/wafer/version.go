package main

import (
	"runtime"
	"runtime/debug"
)

// version tells which source this program was built from, as far as the build
// noted it: the module's version, or else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "wafer (unknown build) " + runtime.Version()
	}
	return "wafer " + versionOf(info) + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	if commit == "" {
		return "development"
	}
	return "development " + commit + changed
}
