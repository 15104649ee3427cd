package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/verify/bound"
)

// Place is where something is kept.
type Place struct {
	Kind Kind
	Path string // of PlaceFile and PlaceSQLite
	URL  string // of PlacePostgres and PlaceRedis, with the password in it
}

// Kind is a way to keep things.
type Kind string

// The kinds.
const (
	PlaceOwn      Kind = ""         // what is kept is a part of the database
	PlaceMemory   Kind = "memory"   // gone after a restart
	PlaceFile     Kind = "file"     // a folder with a file for each
	PlaceSQLite   Kind = "sqlite"   // a database file
	PlacePostgres Kind = "postgres" // a PostgreSQL server
	PlaceRedis    Kind = "redis"    // a Redis or Valkey server
)

// ParsePlace reads memory:, file:DIR, sqlite:PATH, postgres://... and redis://...
// (rediss:// with TLS). "" is PlaceOwn. Paths come back absolute.
func ParsePlace(text string) (Place, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return Place{}, nil
	case scheme == "memory" && rest == "":
		return Place{Kind: PlaceMemory}, nil
	case scheme == "file", scheme == "sqlite":
		return pathPlace(Kind(scheme), rest)
	case slices.Contains([]string{"postgres", "postgresql"}, scheme):
		return urlPlace(PlacePostgres, text)
	case slices.Contains([]string{"redis", "rediss"}, scheme):
		return urlPlace(PlaceRedis, text)
	}
	return Place{}, fmt.Errorf("%q: write memory:, file:DIR, sqlite:PATH, postgres://USER@HOST/NAME or redis://HOST:PORT", Redact(text))
}

func pathPlace(k Kind, path string) (Place, error) {
	path = strings.TrimPrefix(path, "//") // file:///var/x and file:/var/x are the same
	if path == "" || strings.ContainsRune(path, 0) {
		return Place{}, fmt.Errorf("%s: write a path after it, such as %s:./wafer-sessions", k, k)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return Place{}, err
	}
	return Place{Kind: k, Path: path}, nil
}

func urlPlace(k Kind, text string) (Place, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.Path == "" && u.RawQuery == "" {
		return Place{}, fmt.Errorf("%q is not a URL", Redact(text)) // err would show the password
	}
	return Place{Kind: k, URL: text}, nil
}

// Alone reports whether one process alone can use the place.
func (p Place) Alone() bool {
	return p.Kind == PlaceMemory || p.Kind == PlaceFile || p.Kind == PlaceSQLite
}

// String is the place as a URL, for the machine: with its password.
func (p Place) String() string {
	switch p.Kind {
	case PlaceMemory:
		return "memory:"
	case PlaceFile, PlaceSQLite:
		return string(p.Kind) + ":" + p.Path
	}
	return p.URL
}

// Redact is a place as people may see it: without passwords. What cannot be read
// is shown up to its scheme.
func Redact(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		scheme, _, found := strings.Cut(text, ":")
		if !found {
			return "..."
		}
		return scheme + ":..."
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(strings.ToLower(name), "pass") {
			q.Set(name, "xxxxx")
		}
	}
	if len(q) > 0 {
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

func (c Config) checkStores() error {
	var errs []error
	db, err := ParsePlace(c.Database)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("database %w", err))
	case db.Kind != PlaceOwn && db.Kind != PlacePostgres:
		errs = append(errs, fmt.Errorf("database %q: write postgres://USER@HOST/NAME, or leave --database out for SQLite in the data folder", Redact(c.Database)))
	}
	if _, err := ParsePlace(c.Sessions); err != nil {
		errs = append(errs, fmt.Errorf("sessions %w", err))
	}
	return errors.Join(errs...)
}

func (c Config) checkBind() error {
	var errs []error
	for flag, mode := range map[string]bound.Mode{"bind-network": c.Bind.Network, "bind-device": c.Bind.Device} {
		if mode.Check() != nil {
			errs = append(errs, fmt.Errorf("%s %q: write report, step-up or refuse, or leave it out", flag, string(mode)))
		}
	}
	return errors.Join(errs...)
}
