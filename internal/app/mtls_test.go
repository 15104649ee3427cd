package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
)

// clientCA signs certificates of clients.
type clientCA struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newClientCA(t *testing.T) *clientCA {
	t.Helper()
	c := &clientCA{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	made := c.sign(template)
	c.cert, c.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return c
}

func (c *clientCA) sign(template *x509.Certificate) tls.Certificate {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(c.t, err)
	parent, signer := template, key
	if c.cert != nil {
		parent, signer = c.cert, c.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	check(c.t, err)
	leaf, err := x509.ParseCertificate(der)
	check(c.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (c *clientCA) client(name string) tls.Certificate {
	return c.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: c.cert.NotBefore, NotAfter: c.cert.NotAfter,
	})
}

// local speaks to a server as whoever owns its data does.
func local(t *testing.T, a *app.App, path, body string) {
	t.Helper()
	r := httptest.NewRequest("POST", "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.Local().ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

// A client's certificate, over a real connection to the name that is for that, becomes
// a token that is bound to it (RFC 8705).
func TestClientProvesItselfByItsCertificate(t *testing.T) {
	t.Parallel()
	const issuer, alias = "https://localhost:8443", "https://mtls.localhost:8443"
	ca := newClientCA(t)
	roots, data := filepath.Join(t.TempDir(), "clients.pem"), t.TempDir()
	check(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o600))
	cfg := config.Config{Data: data, Listen: "127.0.0.1:0", TLS: config.TLSDev, Issuer: issuer, MTLS: alias, ClientCA: roots}.WithDefaults()
	check(t, cfg.Validate())
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	local(t, a, "/api/v1/apis", `{"id":"https://orders.example","scopes":["orders:read"]}`)
	local(t, a, "/api/v1/clients", `{"id":"billing","kind":"confidential","grants":["client_credentials"],"apis":{"https://orders.example":["*"]},
		"oauth":{"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_subject_dn":"CN=billing","tls_client_certificate_bound_access_tokens":true}}`)
	at := serveApp(t, a)
	ask := func(base string, shown *tls.Certificate) (int, string) {
		t.Helper()
		trust, err := os.ReadFile(filepath.Join(data, "tls", "ca.pem"))
		check(t, err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(trust)
		settings := &tls.Config{RootCAs: pool}
		if shown != nil {
			settings.Certificates = []tls.Certificate{*shown}
		}
		tr := &http.Transport{TLSClientConfig: settings, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", at)
		}}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).PostForm(base+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"billing"}})
		check(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		check(t, err)
		return res.StatusCode, string(body)
	}
	mine, other, strange := ca.client("billing"), ca.client("other"), newClientCA(t).client("billing")
	code, body := ask(alias, &mine)
	var got struct {
		Token string `json:"access_token"`
	}
	check(t, json.Unmarshal([]byte(body), &got))
	if code != http.StatusOK || got.Token == "" {
		t.Fatalf("%d %s", code, body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(got.Token, ".")[1])
	check(t, err)
	sum := sha256.Sum256(mine.Leaf.Raw)
	if want := `"x5t#S256":"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`; !strings.Contains(string(payload), want) {
		t.Errorf("the token says %s, want %s", payload, want)
	}
	for name, try := range map[string]struct {
		base  string
		shown *tls.Certificate
	}{
		"none": {alias, nil}, "another client's": {alias, &other}, "of another CA": {alias, &strange}, "where it is not asked for": {issuer, &mine},
	} {
		if code, body := ask(try.base, try.shown); code != http.StatusUnauthorized || !strings.Contains(body, "invalid_client") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if code, body := ask(alias, &mine); code != http.StatusOK {
		t.Errorf("again: %d %s", code, body)
	}
}

// serveApp serves until the test ends, and returns where.
func serveApp(t *testing.T, a *app.App) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	up, done := make(chan app.Address, 1), make(chan error, 1)
	go func() { done <- a.Run(ctx, func(at app.Address) { up <- at }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		check(t, a.Close())
	})
	select {
	case at := <-up:
		return at.Listen
	case err := <-done:
		done <- nil
		t.Fatal(err)
		return ""
	}
}
