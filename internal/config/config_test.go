package config_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
)

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c := config.Config{}.WithDefaults()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Issuer != "http://localhost:8080" || c.Listen != "127.0.0.1:8080" {
		t.Errorf("issuer %s, listen %s", c.Issuer, c.Listen)
	}
	if got := (config.Config{Listen: "127.0.0.1:9999"}).WithDefaults().Issuer; got != "http://localhost:9999" {
		t.Errorf("issuer does not follow the port: %s", got)
	}
}

// CONFIG-001
func TestUnsafeStartIsRefused(t *testing.T) {
	t.Parallel()
	proxy := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	cases := []struct {
		name string
		c    config.Config
		says string // "" means it must be accepted
	}{
		{"plain HTTP for everybody", config.Config{Listen: "0.0.0.0:8080", Issuer: "https://id.example"}, "plain HTTP outside loopback"},
		{"every interface", config.Config{Listen: ":8080", Issuer: "https://id.example"}, "plain HTTP outside loopback"},
		{"behind a proxy", config.Config{Listen: "0.0.0.0:8080", Issuer: "https://id.example", TrustedProxies: proxy}, ""},
		{"http issuer", config.Config{Issuer: "http://id.example"}, "use https"},
		{"issuer with slash", config.Config{Issuer: "https://id.example/"}, "without path"},
		{"issuer with path", config.Config{Issuer: "https://id.example/auth"}, "without path"},
		{"issuer with query", config.Config{Issuer: "https://id.example?x=1"}, "without path"},
		{"issuer with user", config.Config{Issuer: "https://a@id.example"}, "without path"},
		{"issuer in capitals", config.Config{Issuer: "https://ID.example"}, "lower case"},
		{"issuer that is no URL", config.Config{Issuer: "id.example"}, "scheme://host"},
		{"IPv6 loopback", config.Config{Listen: "[::1]:8080", Issuer: "http://[::1]:8080"}, ""},
		{"listen without port", config.Config{Listen: "127.0.0.1", Issuer: "http://localhost"}, "HOST:PORT"},
		{"a database this version has not", config.Config{Database: "postgres://x"}, "leave --database out"},
		{"idle beyond lifetime", config.Config{SessionIdle: 2 * time.Hour, SessionLifetime: time.Hour}, "idle must"},
		{"keys rotated each minute", config.Config{RotateKeys: time.Minute}, "at least 24h"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.c.WithDefaults().Validate()
			switch {
			case tc.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error is %v, want %q", err, tc.says)
			}
		})
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	err := config.Config{Listen: "0.0.0.0:1", Issuer: "nothing", Database: "x"}.WithDefaults().Validate()
	for _, word := range []string{"listen", "issuer", "database"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named in %v", word, err)
		}
	}
}
