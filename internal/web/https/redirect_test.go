package https_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/web/https"
)

// rawly sends one request as it is written.
func rawly(t *testing.T, address, text string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, text)
	must(t, err)
	method, _, _ := strings.Cut(text, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	must(t, err)
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(b)
}

// HTTP-007: whatever a request says about hosts, the target is the issuer's.
func TestHostHeaderCannotSteerTheRedirect(t *testing.T) {
	t.Parallel()
	const issuer = "https://id.example:8443"
	server := httptest.NewServer(https.Redirect(issuer))
	defer server.Close()
	address := server.Listener.Addr().String()
	for _, tc := range []struct{ name, request, want string }{
		{"good", "GET /login?next=%2Fa HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/login?next=%2Fa"},
		{"another host", "GET /login HTTP/1.1\r\nHost: evil.test\r\n\r\n", issuer + "/login"},
		{"forwarded host", "GET /login HTTP/1.1\r\nHost: id.example\r\nX-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n\r\n", issuer + "/login"},
		{"absolute form", "GET http://evil.test/login HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/login"},
		{"absolute form with a user", "GET http://id.example@evil.test/login HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/login"},
		{"absolute form without path", "GET http://evil.test HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/"},
		{"path like a host", "GET //evil.test/x HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "//evil.test/x"},
		{"path like a user", "GET /@evil.test HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/@evil.test"},
		{"backslash", "GET /\\evil.test HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/%5Cevil.test"},
		{"line break in the path", "GET /a%0d%0aSet-Cookie:x=y HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/a%0d%0aSet-Cookie:x=y"},
		{"line break in the query", "GET /?a%0d%0aSet-Cookie:x=y HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/?a%0d%0aSet-Cookie:x=y"},
		{"HTTP/1.0 without host", "GET /login HTTP/1.0\r\n\r\n", issuer + "/login"},
		{"HEAD", "HEAD /login HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/login"},
		{"good again", "GET /login HTTP/1.1\r\nHost: id.example\r\n\r\n", issuer + "/login"},
	} {
		res, body := rawly(t, address, tc.request)
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != tc.want {
			t.Errorf("%s: %d to %q, want %q", tc.name, res.StatusCode, got, tc.want)
		}
		if res.Header.Get("Set-Cookie") != "" || res.Header.Get("Strict-Transport-Security") != "" || strings.Contains(strings.ReplaceAll(body, "//evil.test/x", ""), "://evil") {
			t.Errorf("%s: %v %s", tc.name, res.Header, body)
		}
		if strings.HasPrefix(tc.request, "HEAD") && body != "" {
			t.Errorf("an answer to HEAD has a body: %q", body)
		}
	}
}

// A password posted over plain HTTP: a redirect would work, and nobody would ever
// notice.
func TestCredentialSentInTheClearIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(https.Redirect("https://id.example"))
	defer server.Close()
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "STEAL"} {
		res, body := rawly(t, server.Listener.Addr().String(), method+" /session HTTP/1.1\r\nHost: id.example\r\nContent-Length: 3\r\n\r\nx=y")
		var said struct{ Error, Message string }
		err := json.Unmarshal([]byte(body), &said)
		if err != nil || res.StatusCode != http.StatusForbidden || said.Error != "https_required" || !strings.Contains(said.Message, "https://id.example") {
			t.Errorf("%s: %d %q %v", method, res.StatusCode, body, err)
		}
		if res.Header.Get("Location") != "" {
			t.Errorf("%s is redirected", method)
		}
	}
}
