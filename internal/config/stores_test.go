package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/verify/bound"
)

func TestParsePlace(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs("x")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]config.Place{
		"":                              {},
		"memory:":                       {Kind: config.PlaceMemory},
		"file:x":                        {Kind: config.PlaceFile, Path: here},
		"file:///var/lib/s":             {Kind: config.PlaceFile, Path: "/var/lib/s"},
		"sqlite:/var/lib/s.db":          {Kind: config.PlaceSQLite, Path: "/var/lib/s.db"},
		"postgres://w:pw@db/wafer":      {Kind: config.PlacePostgres, URL: "postgres://w:pw@db/wafer"},
		"postgresql:///wafer?host=/run": {Kind: config.PlacePostgres, URL: "postgresql:///wafer?host=/run"},
		"redis://:pw@127.0.0.1:6379/2":  {Kind: config.PlaceRedis, URL: "redis://:pw@127.0.0.1:6379/2"},
		"rediss://r:6380":               {Kind: config.PlaceRedis, URL: "rediss://r:6380"},
	} {
		got, err := config.ParsePlace(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
		again, err := config.ParsePlace(got.String())
		if err != nil || again != got {
			t.Errorf("%q does not come back from %q", text, got.String())
		}
	}
	for _, bad := range []string{"memory:x", "file:", "sqlite:", "mysql://x", "/var/lib/x", "redis:", "postgres:", "postgres://w:hunter2@%zz/x"} {
		p, err := config.ParsePlace(bad)
		if err == nil {
			t.Errorf("%q was read as %+v", bad, p)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password stands in %q", err)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"postgres://w:hunter2@db/wafer", "redis://:hunter2@r:6379", "postgres://db/x?password=hunter2&sslmode=require", "postgres://w:hunter2@%zz/",
	} {
		if got := config.Redact(text); strings.Contains(got, "hunter2") || got == "" {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	if got := config.Redact("file:/var/lib/s"); got != "file:/var/lib/s" {
		t.Errorf("got %q", got)
	}
}

func TestValidateStoresAndBinding(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		c    config.Config
		want string
	}{
		"all in SQLite":           {config.Config{}, ""},
		"PostgreSQL and Redis":    {config.Config{Database: "postgres://w@db/wafer", Sessions: "redis://r:6379"}, ""},
		"sessions in files":       {config.Config{Sessions: "file:/var/lib/s"}, ""},
		"the truth in Redis":      {config.Config{Database: "redis://r:6379"}, "postgres://USER@HOST/NAME"},
		"the truth in memory":     {config.Config{Database: "memory:"}, "postgres://USER@HOST/NAME"},
		"an unknown database":     {config.Config{Database: "mysql://db/x"}, "database"},
		"unknown sessions":        {config.Config{Sessions: "memcached://m"}, "sessions"},
		"bound to the network":    {config.Config{Bind: bound.Policy{Network: bound.Refuse}}, ""},
		"bound to something else": {config.Config{Bind: bound.Policy{Device: "maybe"}}, "bind-device"},
	} {
		err := tt.c.WithDefaults().Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
