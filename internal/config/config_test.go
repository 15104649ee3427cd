package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
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
		{"invited clients", config.Config{Registration: config.RegistrationToken, RegistrationAPIs: map[string][]string{"https://orders.example": {"*"}}}, ""},
		{"registration of another kind", config.Config{Registration: "on"}, "write off, token or open"},
		{"a profile that is none", config.Config{Registration: config.RegistrationOpen, RegistrationProfile: "none"}, "write strict, fapi2 or certification"},
		{"an offer to nobody", config.Config{RegistrationAPIs: map[string][]string{"https://orders.example": {"*"}}}, "nobody could ask for it"},
		{"management for everybody", config.Config{Registration: config.RegistrationOpen, RegistrationAPIs: map[string][]string{"management": {"*"}}}, "cannot manage anything"},
		{"management by its audience", config.Config{ClientDocuments: true, RegistrationAPIs: map[string][]string{"http://localhost:8080/api/v1": {"*"}}}, "cannot manage anything"},
		{"a database this version has not", config.Config{Database: "redis://x"}, "leave --database out"},
		{"idle beyond lifetime", config.Config{SessionIdle: 2 * time.Hour, SessionLifetime: time.Hour}, "idle must"},
		{"a header of certificates that everybody can write", config.Config{Issuer: "https://id.example", ClientCertHeader: "X-SSL-Client-Cert"}, "everybody could write it"},
		{"a header of a proxy", config.Config{Issuer: "https://id.example", ClientCertHeader: "X-SSL-Client-Cert", TrustedProxies: proxy}, ""},
		{"a header with another meaning", config.Config{Issuer: "https://id.example", ClientCertHeader: "X-Forwarded-For", TrustedProxies: proxy}, "another meaning"},
		{"a header that is none", config.Config{Issuer: "https://id.example", ClientCertHeader: "Client Cert", TrustedProxies: proxy}, "name of a header"},
		{"certificates without TLS", config.Config{Issuer: "https://id.example", MTLS: "https://mtls.id.example", TrustedProxies: proxy}, "nothing shows the certificates"},
		{"certificates at a plain address", config.Config{TLS: config.TLSDev, MTLS: "http://localhost:8080"}, "write https://host"},
		{"certificates at a path", config.Config{TLS: config.TLSDev, MTLS: "https://localhost:8080/mtls"}, "write https://host"},
		{"certificates at another address", config.Config{TLS: config.TLSDev, MTLS: "https://127.0.0.2:8080"}, "write a name"},
		{"certificates at another name", config.Config{TLS: config.TLSDev, MTLS: "https://mtls.localhost:8080"}, ""},
		{"certificates at a name that ACME has not", config.Config{TLS: config.TLSACME, Issuer: "https://id.example.com", MTLS: "https://mtls.example.com"}, "issuer's host only"},
		{"a CA that is not there", config.Config{TLS: config.TLSDev, ClientCA: "/nowhere/ca.pem"}, "client-ca"},
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

func TestHTTPSDefaults(t *testing.T) {
	t.Parallel()
	if got := (config.Config{TLS: config.TLSDev, Listen: ":8443"}).WithDefaults().Issuer; got != "https://localhost:8443" {
		t.Errorf("issuer %s", got)
	}
	if got := (config.Config{TLSCert: "c", TLSKey: "k"}).WithDefaults().TLS; got != config.TLSFiles {
		t.Errorf("named files mean %q", got)
	}
	c := config.Config{TLS: config.TLSACME}.WithDefaults()
	if c.ACMEDirectory != config.DefaultACMEDirectory || c.HTTPRedirect != ":80" || !c.Redirects() {
		t.Errorf("acme: %s, %s", c.ACMEDirectory, c.HTTPRedirect)
	}
	if c := (config.Config{TLS: config.TLSACME, HTTPRedirect: "off"}).WithDefaults(); c.Redirects() {
		t.Error("off does not turn the redirect off")
	}
	if c := (config.Config{}).WithDefaults(); c.TLS != config.TLSOff || c.Redirects() || c.ACMEDirectory != "" {
		t.Errorf("nothing said means %q", c.TLS)
	}
	for issuer, host := range map[string]string{"https://id.example:8443": "id.example", "https://[::1]:8443": "::1", "https://192.0.2.1": "192.0.2.1"} {
		if got := (config.Config{Issuer: issuer}).IssuerHost(); got != host {
			t.Errorf("host of %s is %s", issuer, got)
		}
	}
}

// CONFIG-001
func TestUnsafeHTTPSIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte("x"), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private, group, open, writable := file("private", 0o600), file("group", 0o640), file("open", 0o644), file("writable", 0o620)
	const issuer, everywhere = "https://id.example", ":8443"
	cases := []struct {
		name string
		c    config.Config
		says string // "" means it must be accepted
	}{
		{"development outside loopback", config.Config{TLS: "dev", Listen: everywhere}, ""},
		{"files outside loopback", config.Config{TLSCert: "c", TLSKey: private, Listen: everywhere, Issuer: issuer}, ""},
		{"acme outside loopback", config.Config{TLS: "acme", Listen: everywhere, Issuer: issuer}, ""},
		{"plain HTTP outside loopback", config.Config{Listen: everywhere, Issuer: issuer}, "--tls acme"},
		{"unknown mode", config.Config{TLS: "auto"}, "dev, acme or files"},
		{"http issuer", config.Config{TLS: "dev", Issuer: "http://localhost:8080"}, "must be https"},
		{"certificate without key", config.Config{TLSCert: "c"}, "--tls-key"},
		{"key without certificate", config.Config{TLSKey: private}, "--tls-cert"},
		{"files without files", config.Config{TLS: "files"}, "name both"},
		{"files and acme", config.Config{TLS: "acme", TLSCert: "c", TLSKey: private, Issuer: issuer}, "leave --tls-cert"},
		{"key that everybody reads", config.Config{TLSCert: "c", TLSKey: open}, "chmod 600"},
		{"key that a group writes", config.Config{TLSCert: "c", TLSKey: writable}, "chmod 600"},
		{"key that a group reads", config.Config{TLSCert: "c", TLSKey: group}, ""},
		{"master key that everybody reads", config.Config{KeyFile: open}, "chmod 600"},
		{"master key that a group reads", config.Config{KeyFile: group}, "chmod 600"},
		{"master key of one's own", config.Config{KeyFile: private}, ""},
		{"acme for localhost", config.Config{TLS: "acme"}, "public names only"},
		{"acme for an address", config.Config{TLS: "acme", Issuer: "https://192.0.2.1"}, "public names only"},
		{"acme over http", config.Config{TLS: "acme", Issuer: issuer, ACMEDirectory: "http://ca.example/dir"}, "https URL"},
		{"acme without an address", config.Config{TLS: "acme", Issuer: issuer, ACMEEmail: "me"}, "ops@example.com"},
		{"acme settings without acme", config.Config{TLS: "dev", ACMEEmail: "me@example.com"}, "are for --tls acme"},
		{"acme on two hosts", config.Config{TLS: "acme", Issuer: issuer, Listen: "192.0.2.1:443", HTTPRedirect: "192.0.2.2:80"}, "host of --listen"},
		{"acme on one host", config.Config{TLS: "acme", Issuer: issuer, Listen: "192.0.2.1:443", HTTPRedirect: "192.0.2.1:80"}, ""},
		{"redirect without port", config.Config{TLS: "dev", HTTPRedirect: "localhost"}, "HOST:PORT"},
		{"redirect to nowhere", config.Config{HTTPRedirect: ":80"}, "no HTTPS here"},
		{"redirect onto itself", config.Config{TLS: "dev", Listen: ":8443", HTTPRedirect: ":8443"}, "another port"},
		{"redirect", config.Config{TLS: "dev", Listen: ":8443", HTTPRedirect: ":8080"}, ""},
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
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("one mistake, two lines: %v", err)
			}
		})
	}
}
