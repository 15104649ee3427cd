package verify_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestNewTellsEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := verify.New(verify.Config{Leeway: time.Hour, MaxLifetime: -1, MaxTokenBytes: -1, Stale: 7, Decrypt: []*jose.DecryptionKey{nil}})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, word := range []string{"Issuer", "Audience", "Algorithms", "Keys", "Leeway", "MaxLifetime", "MaxTokenBytes", "Stale", "Decrypt"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("nothing is said about %s: %v", word, err)
		}
	}
}

func TestNewRefusesWhatWouldSkipACheck(t *testing.T) {
	t.Parallel()
	key, err := jose.Generate(jose.EdDSA, "a")
	if err != nil {
		t.Fatal(err)
	}
	server, err := verify.NewServer(verify.ServerConfig{Issuer: testIssuer, ClientID: "api", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := verify.NewServer(verify.ServerConfig{Issuer: "https://other.test", ClientID: "api", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	good := verify.Config{
		Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{jose.EdDSA},
		Keys: verify.StaticKeys(key), Server: server,
	}
	for _, tt := range []struct {
		name   string
		change func(*verify.Config)
		good   bool
	}{
		{"as it is", func(*verify.Config) {}, true},
		{"no issuer", func(c *verify.Config) { c.Issuer = "" }, false},
		{"no audience", func(c *verify.Config) { c.Audience = "" }, false},
		{"nil algorithms", func(c *verify.Config) { c.Algorithms = nil }, false},
		{"no algorithms", func(c *verify.Config) { c.Algorithms = []jose.Algorithm{} }, false},
		{"algorithm none", func(c *verify.Config) { c.Algorithms = []jose.Algorithm{"none"} }, false},
		{"empty algorithm", func(c *verify.Config) { c.Algorithms = []jose.Algorithm{""} }, false},
		{"no keys", func(c *verify.Config) { c.Keys = nil }, false},
		{"only the server", func(c *verify.Config) { c.Keys, c.Algorithms = nil, nil }, true},
		{"degrade without server", func(c *verify.Config) { c.Server = nil }, false},
		{"strict without server", func(c *verify.Config) { c.Server, c.Stale = nil, verify.Strict }, false},
		{"open without server", func(c *verify.Config) { c.Server, c.Stale = nil, verify.Open }, true},
		{"server of another issuer", func(c *verify.Config) { c.Server = other }, false},
		{"leeway of a minute", func(c *verify.Config) { c.Leeway = time.Minute }, true},
		{"leeway above", func(c *verify.Config) { c.Leeway = time.Minute + 1 }, false},
		{"negative leeway", func(c *verify.Config) { c.Leeway = -1 }, false},
		{"as it is, again", func(*verify.Config) {}, true},
	} {
		c := good
		tt.change(&c)
		if v, err := verify.New(c); (err == nil) != tt.good || (v == nil) == tt.good {
			t.Errorf("%s: got %v, %v, want it accepted: %v", tt.name, v, err, tt.good)
		}
	}
}

func TestNewServerRefuses(t *testing.T) {
	t.Parallel()
	good := verify.ServerConfig{Issuer: testIssuer, ClientID: "api", ClientSecret: "secret"}
	for _, tt := range []struct {
		name   string
		change func(*verify.ServerConfig)
		good   bool
	}{
		{"as it is", func(*verify.ServerConfig) {}, true},
		{"open wire", func(c *verify.ServerConfig) { c.Issuer = "http://id.test" }, false},
		{"loopback", func(c *verify.ServerConfig) { c.Issuer = "http://localhost:8080" }, true},
		{"open wire for the question", func(c *verify.ServerConfig) { c.IntrospectURL = "http://id.test/introspect" }, false},
		{"no address", func(c *verify.ServerConfig) { c.Issuer = "" }, false},
		{"only the address", func(c *verify.ServerConfig) { c.Issuer, c.IntrospectURL = "", "https://id.test/introspect" }, true},
		{"no client", func(c *verify.ServerConfig) { c.ClientID = "" }, false},
		{"no secret", func(c *verify.ServerConfig) { c.ClientSecret = "" }, false},
		{"negative timeout", func(c *verify.ServerConfig) { c.Timeout = -1 }, false},
		{"negative concurrency", func(c *verify.ServerConfig) { c.Concurrency = -1 }, false},
	} {
		c := good
		tt.change(&c)
		if s, err := verify.NewServer(c); (err == nil) != tt.good || (s == nil) == tt.good {
			t.Errorf("%s: got %v, %v, want it accepted: %v", tt.name, s, err, tt.good)
		}
	}
}

var sentinels = map[string]error{
	"ErrNoCredential": verify.ErrNoCredential, "ErrAmbiguous": verify.ErrAmbiguous, "ErrCrossOrigin": verify.ErrCrossOrigin,
	"ErrTooLarge": verify.ErrTooLarge, "ErrMalformed": verify.ErrMalformed, "ErrEncryption": verify.ErrEncryption, "ErrDecrypt": verify.ErrDecrypt,
	"ErrType": verify.ErrType, "ErrCritical": verify.ErrCritical, "ErrAlgorithm": verify.ErrAlgorithm, "ErrKeyUnknown": verify.ErrKeyUnknown,
	"ErrSignature": verify.ErrSignature, "ErrIssuer": verify.ErrIssuer, "ErrAudience": verify.ErrAudience, "ErrExpired": verify.ErrExpired,
	"ErrNotYet": verify.ErrNotYet, "ErrLifetime": verify.ErrLifetime, "ErrClaims": verify.ErrClaims, "ErrRevoked": verify.ErrRevoked,
	"ErrProof": verify.ErrProof, "ErrProofReplayed": verify.ErrProofReplayed, "ErrProofNonce": verify.ErrProofNonce,
	"ErrBinding": verify.ErrBinding, "ErrElsewhere": verify.ErrElsewhere, "ErrStepUp": verify.ErrStepUp, "ErrScope": verify.ErrScope, "ErrUnavailable": verify.ErrUnavailable, "ErrStale": verify.ErrStale,
}

func TestEveryReasonIsInThePackageComment(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.SplitSeq(string(doc), "\n") {
		if f := strings.Fields(line); len(f) > 3 && strings.HasPrefix(f[2], "Err") && f[2] != "Err" {
			rows[f[2]] = f[1]
		}
	}
	for name, err := range sentinels {
		if got := verify.Reason(err); rows[name] != got {
			t.Errorf("%s: the comment says %q, Reason says %q", name, rows[name], got)
		}
		delete(rows, name)
		if got := verify.Reason(fmt.Errorf("wrapped: %w", err)); got != verify.Reason(err) {
			t.Errorf("%s wrapped: got %q", name, got)
		}
	}
	if len(rows) > 0 {
		t.Errorf("the comment has rows for nothing: %v", rows)
	}
	if got := verify.Reason(nil); got != "" {
		t.Errorf("nil: got %q", got)
	}
	if got := verify.Reason(errors.New("x")); got != "internal" {
		t.Errorf("another error: got %q", got)
	}
}
