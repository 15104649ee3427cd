package clients

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/clients/rig"
)

// apacheModules is where Debian puts them.
const apacheModules = "/usr/lib/apache2/modules"

// The configuration of an Apache with mod_auth_openidc. What is in capitals is put in.
const apacheConfig = `
ServerRoot DIR
ServerName 127.0.0.1
Listen LISTEN
PidFile DIR/pid
ErrorLog DIR/error.log
LogLevel warn auth_openidc:debug
DocumentRoot DIR/www
LoadModule mpm_event_module MODULES/mod_mpm_event.so
LoadModule authn_core_module MODULES/mod_authn_core.so
LoadModule authz_core_module MODULES/mod_authz_core.so
LoadModule authz_user_module MODULES/mod_authz_user.so
LoadModule headers_module MODULES/mod_headers.so
LoadModule auth_openidc_module MODULES/mod_auth_openidc.so
User www-data
Group www-data

OIDCProviderMetadataURL ISSUER/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret a-secret-of-the-web-server-0001
OIDCRedirectURI URL/redirect
OIDCCryptoPassphrase only-for-this-test
OIDCPKCEMethod S256
OIDCScope "openid email profile"
OIDCRemoteUserClaim email
OIDCCookieSameSite On
OIDCStateMaxNumberOfCookies 5 true

<Location />
	AuthType openid-connect
	Require valid-user
	Header set X-Who "expr=%{REMOTE_USER}"
</Location>
<Location /public>
	AuthType None
	Require all granted
</Location>
`

// Apache with mod_auth_openidc guards a page: who is not signed in is led to sign in,
// and comes back to the page as who they are.
func TestApacheModAuthOpenIDC(t *testing.T) {
	program := rig.Need(t, "apache2")
	if _, err := os.Stat(filepath.Join(apacheModules, "mod_auth_openidc.so")); err != nil {
		rig.Missing(t, "Apache's mod_auth_openidc is not installed")
	}
	issuer := serve(t)
	dir, err := os.MkdirTemp("", "wafer-apache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	write(t, filepath.Join(dir, "www", "private.html"), "<p>for members</p>")
	write(t, filepath.Join(dir, "www", "public", "bye.html"), "<p>bye</p>")
	url := rig.ApacheURL()
	config := strings.NewReplacer("DIR", dir, "LISTEN", strings.TrimPrefix(url, "http://"), "MODULES", apacheModules, "ISSUER", issuer, "URL/redirect", url+"/redirect").Replace(apacheConfig)
	write(t, filepath.Join(dir, "apache.conf"), config)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rig.Start(t, exec.Command(program, "-X", "-f", filepath.Join(dir, "apache.conf")), url+"/public/bye.html")
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(dir, "error.log")); err == nil && t.Failed() {
			t.Logf("Apache's log:\n%.6000s", log)
		}
	})

	ada := rig.NewPerson(t)
	page := ada.Visit(url+"/private.html", "nowhere:")
	for range 5 {
		if strings.Contains(page.Text, "for members") {
			break
		}
		page = ada.Submit(page, "nowhere:", nil)
	}
	if page.Status != http.StatusOK || !strings.Contains(page.Text, "for members") {
		t.Fatalf("ended at %d %s:\n%.1000s", page.Status, page.URL, page.Text)
	}
	if who := page.Header().Get("X-Who"); who != rig.Login {
		t.Errorf("Apache knows them as %q", who)
	}
	out := ada.Visit(fmt.Sprintf("%s/redirect?logout=%s/public/bye.html", url, url), "nowhere:")
	if out.Status != http.StatusOK || !strings.Contains(out.Text, "bye") {
		t.Errorf("signed out to %d %s:\n%.1000s", out.Status, out.URL, out.Text)
	}
	if again := ada.Visit(url+"/private.html", "nowhere:"); !again.Asks("password") {
		t.Errorf("still signed in: %s", again.URL)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
