package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// CONFIG-001: one clear line, a status that is not 0, and nothing is served.
func TestUnsafeStartIsRefusedInOneLine(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	key := filepath.Join(data, "master.key")
	serve(t, data).stop()
	right, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	other := write(t, t.TempDir(), "other.key", base64.RawURLEncoding.EncodeToString(make([]byte, 32))+"\n")
	short := write(t, t.TempDir(), "short.key", "c2hvcnQ\n")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name       string
		says       string
		args       []string
		spoil, fix func()
	}{
		{name: "http issuer", says: "https", args: []string{"--issuer", "http://id.example"}},
		{name: "issuer with path", says: "without path", args: []string{"--issuer", "https://id.example/auth"}},
		{name: "issuer with slash", says: "slash", args: []string{"--issuer", "https://id.example/"}},
		{name: "issuer with query", says: "query", args: []string{"--issuer", "https://id.example?x=1"}},
		{name: "every interface without a proxy", says: "plain HTTP", args: []string{"--listen", "0.0.0.0:0", "--issuer", "https://id.example"}},
		{name: "HTTPS with an http issuer", says: "must be https", args: []string{"--tls", "dev", "--issuer", "http://localhost:8080"}},
		{name: "HTTPS without its key", says: "--tls-key", args: []string{"--tls-cert", other}},
		{name: "certificate that is none", says: "tls-cert", args: []string{"--tls-cert", other, "--tls-key", other}},
		{name: "demo over HTTPS", says: "leave --tls out", args: []string{"--demo", "--tls", "dev"}},
		{name: "key that others can read", says: "chmod 600", spoil: func() { must(os.Chmod(key, 0o644)) }, fix: func() { must(os.Chmod(key, 0o600)) }},
		{name: "key that a group can write", says: "chmod 600", spoil: func() { must(os.Chmod(key, 0o620)) }, fix: func() { must(os.Chmod(key, 0o600)) }},
		{name: "database without its key", says: "missing", spoil: func() { must(os.Rename(key, key+".away")) }, fix: func() { must(os.Rename(key+".away", key)) }},
		{name: "another key", says: "not the one", args: []string{"--key-file", other}},
		{name: "short key", says: "32 bytes", args: []string{"--key-file", short}},
		{name: "no such key file", says: "no such file", args: []string{"--key-file", other + ".none"}},
		{name: "emptied key", says: "32 bytes", spoil: func() { must(os.WriteFile(key, nil, 0o600)) }, fix: func() { must(os.WriteFile(key, right, 0o600)) }},
		{name: "proxy that is everybody's guess", says: "trusted-proxy", args: []string{"--trusted-proxy", "everybody"}},
	} {
		if tc.spoil != nil {
			tc.spoil()
		}
		out, errs, code := start(t, append([]string{"--data", data, "serve", "--listen", "127.0.0.1:" + freePort(t)}, tc.args...)...)
		if code == 0 || strings.Contains(out, "serves") {
			t.Errorf("%s: it started: %d %s", tc.name, code, out)
		}
		if lines := strings.Count(strings.TrimSpace(errs), "\n") + 1; lines != 1 || !strings.Contains(errs, tc.says) {
			t.Errorf("%s: %d lines, want one with %q:\n%s", tc.name, lines, tc.says, errs)
		}
		if tc.fix != nil {
			tc.fix()
		}
	}
	if _, err := os.Stat(key); err != nil {
		t.Error(err)
	}
	r := serve(t, data)
	if out, errs, code := start(t, "--data", data, "serve", "--listen", "127.0.0.1:"+freePort(t)); code != 1 || !strings.Contains(errs, "another wafer") || out != "" {
		t.Errorf("a second server on one folder: %d %s %s", code, out, errs)
	}
	r.must(http.StatusOK, get("/readyz"))
}

// start runs a server that should refuse to start; one that starts all the same
// is stopped after a while.
func start(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errs lockedBuffer
	code = run(ctx, args, terminal{in: strings.NewReader(""), out: &out, err: &errs})
	return out.String(), errs.String(), code
}

// CONFIG-001: nobody else on the machine reads what is written.
func TestDataIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0, 0o755} {
		data := filepath.Join(t.TempDir(), "data")
		if mode != 0 {
			if err := os.Mkdir(data, mode); err != nil {
				t.Fatal(err)
			}
		}
		r := serve(t, data)
		mustWafer(t, attackPhrase+"\n", "--data", data, "user", "add", "bob@example.com", "--password-stdin")
		r.must(http.StatusCreated, signingIn("bob@example.com", attackPhrase))
		err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && path != data && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("folder of mode %#o: %s has mode %#o", mode, filepath.Base(path), info.Mode().Perm())
			}
			if err == nil && path == data && mode == 0 && info.Mode().Perm() != 0o700 {
				t.Errorf("the folder has mode %#o", info.Mode().Perm())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// CONFIG-004
func TestDiscoveryTellsTheTruth(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	raw := r.must(http.StatusOK, get("/.well-known/oauth-authorization-server"))
	if same := r.must(http.StatusOK, get("/.well-known/openid-configuration")); same.text != raw.text {
		t.Error("the two documents differ")
	}
	var meta struct {
		Issuer  string   `json:"issuer"`
		Token   string   `json:"token_endpoint"`
		Revoke  string   `json:"revocation_endpoint"`
		Ask     string   `json:"introspection_endpoint"`
		JWKS    string   `json:"jwks_uri"`
		Grants  []string `json:"grant_types_supported"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := json.Unmarshal([]byte(raw.text), &meta); err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iss string }
	if err := json.Unmarshal([]byte(payload(v.access)), &claims); err != nil || claims.Iss != meta.Issuer || meta.Issuer != r.url {
		t.Errorf("iss is %q, issuer %q, address %q: %v", claims.Iss, meta.Issuer, r.url, err)
	}
	for name, at := range map[string]string{"token": meta.Token, "revoke": meta.Revoke, "introspect": meta.Ask} {
		path, ours := strings.CutPrefix(at, r.url)
		if !ours {
			t.Fatalf("%s endpoint is %s", name, at)
		}
		r.must(http.StatusUnauthorized, formOf(path, "token=x"))
	}
	r.must(http.StatusOK, get(strings.TrimPrefix(meta.JWKS, r.url)))
	for _, grant := range []string{"authorization_code", "client_credentials", "implicit", "password", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"} {
		res, err := r.fire(formOf("/oauth/token", fields("grant_type", grant)+"&"+ownCredentials))
		if known := res.str("error") != "unsupported_grant_type"; err != nil || known != slices.Contains(meta.Grants, grant) {
			t.Errorf("%s: advertised %v, answer %d %s", grant, slices.Contains(meta.Grants, grant), res.StatusCode, res.text)
		}
	}
	basic := [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("bystander:"+clientSecrets))}
	for method, h := range map[string]hit{
		"client_secret_basic": formOf("/oauth/token", "grant_type=client_credentials", basic),
		"client_secret_post":  formOf("/oauth/token", "grant_type=client_credentials&"+ownCredentials),
		"none":                refreshing(v.refresh),
	} {
		res, err := r.fire(h)
		if err != nil || (res.StatusCode == http.StatusOK) != slices.Contains(meta.Methods, method) {
			t.Errorf("%s: advertised %v, answer %d %s", method, slices.Contains(meta.Methods, method), res.StatusCode, res.text)
		}
	}
	// That a client can prove itself by a key is shown in internal/app, with a client that
	// has one; here it is no other client's way.
	byKey := "grant_type=client_credentials&client_id=bystander&client_assertion=x.y.z&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	if res := r.must(http.StatusUnauthorized, formOf("/oauth/token", byKey)); !slices.Contains(meta.Methods, "private_key_jwt") || res.str("error") != "invalid_client" {
		t.Errorf("private_key_jwt: advertised %v, %s", meta.Methods, res.text)
	}
	for _, host := range []string{"evil.test", "evil.test:80", "localhost.evil.test", "localhost@evil.test"} {
		res, err := r.fire(hit{method: http.MethodGet, path: "/.well-known/openid-configuration", host: host, header: [][2]string{{"X-Forwarded-Host", host}, {"Forwarded", "host=" + host}}})
		if err != nil || res.StatusCode != http.StatusMisdirectedRequest && res.StatusCode != http.StatusBadRequest || strings.Contains(res.text, "evil") {
			t.Errorf("host %s: %v %d %s", host, err, res.StatusCode, res.text)
		}
	}
	again := r.must(http.StatusOK, get("/.well-known/openid-configuration", [2]string{"X-Forwarded-Host", "evil.test"}, [2]string{"X-Forwarded-Proto", "https"}))
	if again.text != raw.text {
		t.Error("a header changed the document")
	}
}

// HTTP-007, HTTP-009: requests that no client library would send.
func TestOddRequestLinesAreRefused(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.lively(r.visit(person(0)), nil)
	host := strings.TrimPrefix(r.url, "http://")
	cookieLine := "Cookie: " + v.in()[1] + "\r\n"
	for name, tc := range map[string]struct {
		head string
		want []string
	}{
		"good":                    {"GET /session HTTP/1.1\r\nHost: " + host + "\r\n" + cookieLine, []string{"200"}},
		"absolute form, evil":     {"GET http://evil.test/session HTTP/1.1\r\nHost: " + host + "\r\n" + cookieLine, []string{"421"}},
		"HTTP/1.0 without host":   {"GET /session HTTP/1.0\r\n" + cookieLine, []string{"421", "400"}},
		"no host":                 {"GET /session HTTP/1.1\r\n" + cookieLine, []string{"400"}},
		"two hosts":               {"GET /session HTTP/1.1\r\nHost: " + host + "\r\nHost: evil.test\r\n" + cookieLine, []string{"400"}},
		"host with a user":        {"GET /session HTTP/1.1\r\nHost: localhost@evil.test\r\n" + cookieLine, []string{"400", "421"}},
		"trailing dot":            {"GET /session HTTP/1.1\r\nHost: evil.test.\r\n" + cookieLine, []string{"421"}},
		"junk port":               {"GET /session HTTP/1.1\r\nHost: evil.test:99999999\r\n" + cookieLine, []string{"400", "421"}},
		"space before the colon":  {"GET /session HTTP/1.1\r\nHost : " + host + "\r\n" + cookieLine, []string{"400"}},
		"TRACE":                   {"TRACE /session HTTP/1.1\r\nHost: " + host + "\r\n" + cookieLine, []string{"405"}},
		"CONNECT":                 {"CONNECT evil.test:443 HTTP/1.1\r\nHost: " + host + "\r\n", []string{"404", "405", "421", "400"}},
		"unknown verb":            {"STEAL /session HTTP/1.1\r\nHost: " + host + "\r\n" + cookieLine, []string{"405"}},
		"method override":         {"GET /session HTTP/1.1\r\nHost: " + host + "\r\nX-HTTP-Method-Override: DELETE\r\n" + cookieLine, []string{"200"}},
		"length and chunks":       {"POST /oauth/token HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n", []string{"400", "401", "415"}},
		"two lengths":             {"POST /oauth/token HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 4\r\nContent-Length: 5\r\n", []string{"400"}},
		"32 KiB and more headers": {"GET /session HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("a", 48<<10) + "\r\n", []string{"431"}},
		"16 KiB of commas":        {"GET /login HTTP/1.1\r\nHost: " + host + "\r\nAccept-Language: " + strings.Repeat(",", 16<<10) + "\r\n", []string{"200"}},
	} {
		status := speak(t, host, tc.head+"Connection: close\r\n\r\n")
		if !slices.Contains(tc.want, status) {
			t.Errorf("%s: %s, want one of %v", name, status, tc.want)
		}
	}
	r.lively(v, nil)
}

// speak sends bytes as they are and returns the status of the answer.
func speak(t *testing.T, host, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.Replace(host, "localhost", "127.0.0.1", 1), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return "closed"
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if parts := strings.Fields(line); err == nil && len(parts) > 1 {
		return parts[1]
	}
	return "closed"
}
