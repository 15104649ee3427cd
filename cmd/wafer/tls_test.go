package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// printed waits for a line of a server that starts.
func printed(t *testing.T, out *lockedBuffer, line *regexp.Regexp) []string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if m := line.FindStringSubmatch(out.String()); m != nil {
			return m
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("%s is not in\n%s", line, out)
	return nil
}

// A person signs in over HTTPS with nothing but what the start printed.
func TestServeWithADevelopmentCertificate(t *testing.T) {
	t.Parallel()
	data, port, plain := filepath.Join(t.TempDir(), "data"), freePort(t), "127.0.0.1:"+freePort(t)
	mustWafer(t, attackPhrase+"\n", "--data", data, "user", "add", "bob@example.com", "--password-stdin")
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &lockedBuffer{}, make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"--data", data, "serve", "--tls", "dev", "--listen", "127.0.0.1:" + port, "--http-redirect", plain, "--log-level", "warn"},
			terminal{in: strings.NewReader(""), out: out, err: out})
	}()
	defer func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("status %d\n%s", code, out)
		}
	}()
	said := printed(t, out, regexp.MustCompile(`curl --cacert (\S+) (https://localhost:\d+)/healthz`))
	printed(t, out, regexp.MustCompile(`sends everybody to https://localhost:`))
	ca, err := os.ReadFile(said[1])
	if err != nil || said[2] != "https://localhost:"+port {
		t.Fatalf("%s: %v", said[2], err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	signIn := func(base string) (*http.Response, error) {
		res, err := client.Post(base+"/session", "application/json", strings.NewReader(`{"login":"bob@example.com","password":"`+attackPhrase+`"}`))
		if err == nil {
			res.Body.Close()
		}
		return res, err
	}
	res, err := signIn(said[2])
	if err != nil {
		t.Fatal(err)
	}
	if c := (reply{Response: res}).cookieOf(t); res.StatusCode != http.StatusCreated || !c.Secure || !c.HttpOnly || res.ProtoMajor != 2 {
		t.Errorf("%s %s, cookie %v", res.Proto, res.Status, c)
	}
	if hsts := res.Header.Get("Strict-Transport-Security"); hsts != "" {
		t.Errorf("HSTS for localhost: every other port of it would be HTTPS for a year: %q", hsts)
	}
	if res, err := signIn("http://localhost:" + port); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP on the port of HTTPS: %v %v", res, err)
	}
	if res, err := signIn("http://" + plain); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a password in plain HTTP: %v %v", res, err)
	}
	if res, err := client.Get("http://" + plain + "/login"); err != nil || res.StatusCode != http.StatusOK || res.Request.URL.String() != said[2]+"/login" {
		t.Errorf("a page in plain HTTP: %v %v", res, err)
	} else {
		res.Body.Close()
	}
}
