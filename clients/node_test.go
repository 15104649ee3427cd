package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/clients/rig"
)

// providers are whom every client of npm is tried on.
var providers = []provider{
	{"wafer", serve},
	{"control", control},
}

// serve starts the server with the set-up of testdata.
func serve(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "setup.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return rig.Serve(t, strings.NewReplacer(
		"LEGACY_CALLBACK", rig.LegacyCallback(), "APACHE_URL", rig.ApacheURL(), "PAGE_URL", rig.PageURL(),
	).Replace(string(text)))
}

func control(t *testing.T) string {
	t.Helper()
	return rig.Control(t, map[string]any{
		"redirect_uris": []string{rig.RedirectURI}, "post_logout_redirect_uris": []string{rig.LoggedOut}, "legacy": rig.LegacyCallback(),
	})
}

type provider struct {
	name  string
	start func(*testing.T) string
}

func (p provider) settingFor(issuer, clientID string) rig.Setting {
	s := rig.SettingFor(issuer, clientID)
	s.Control = p.name == "control"
	return s
}

// everywhere runs a script as each of the clients, at the server and at the control.
func everywhere(t *testing.T, script string, clients ...string) {
	t.Helper()
	rig.Packages(t)
	for _, p := range providers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			issuer := p.start(t)
			for _, id := range clients {
				t.Run(id, func(t *testing.T) { rig.Run(t, script, p.settingFor(issuer, id)) })
			}
		})
	}
}

func TestOpenIDClient(t *testing.T) {
	t.Parallel()
	everywhere(t, "openid-client.mjs", "web", "spa", "dpop")
}

func TestOAuth4WebAPIAndJose(t *testing.T) {
	t.Parallel()
	everywhere(t, "oauth4webapi.mjs", "web", "spa", "dpop")
}

func TestDevice(t *testing.T) {
	t.Parallel()
	everywhere(t, "device.mjs", "tv")
}

func TestMachine(t *testing.T) {
	t.Parallel()
	everywhere(t, "machine.mjs", "machine")
}

// One after the other: the application listens at its own address.
func TestPassport(t *testing.T) {
	for _, p := range providers {
		t.Run(p.name, func(t *testing.T) { rig.Run(t, "passport.mjs", p.settingFor(p.start(t), "legacy")) })
	}
}

func TestMCPClient(t *testing.T) {
	t.Parallel()
	everywhere(t, "mcp.mjs", "spa")
}
