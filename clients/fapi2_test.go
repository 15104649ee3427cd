package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/clients/rig"
)

// The script of docs/fapi2.md runs with the set-up that stands there.
func TestFAPI2Document(t *testing.T) {
	t.Parallel()
	packages := rig.Packages(t)
	dir := t.TempDir()
	key := exec.CommandContext(t.Context(), "node", filepath.Join(packages, "key.mjs"), "bank")
	key.Dir = dir
	if out, err := key.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const secret = "a-secret-of-the-orders-api-0001"
	write(t, filepath.Join(dir, "orders.secret"), secret)
	setup := strings.NewReplacer("./bank.jwks", filepath.Join(dir, "bank.jwks"), "./orders.secret", filepath.Join(dir, "orders.secret")).
		Replace(documentedSetup(t, "fapi2.md"))
	issuer := rig.Serve(t, setup)
	s := rig.SettingFor(issuer, "bank")
	s.Key, s.Orders = filepath.Join(dir, "bank.jwk"), rig.Orders(t, issuer, filepath.Join(dir, "orders.secret"))+"/orders"
	rig.Run(t, "fapi2.mjs", s)
}

// documentedSetup is the set-up that a document has.
func documentedSetup(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- file setup.yaml -->\n```yaml\n")
	setup, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatalf("%s has no setup.yaml", document)
	}
	return setup
}
