package client_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
)

func TestEndpointsAreHTTPSOrOnLoopback(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]bool{
		"https://shop.example/logout": true, "https://shop.example:8443/logout?x=1": true, "https://shop.example": true,
		"http://localhost:3000/logout": true, "http://127.0.0.1/logout": true, "http://[::1]:3000/": true,
		"": false, "/logout": false, "shop.example/logout": false, "//shop.example": false, "https:///logout": false, "https:shop.example": false,
		"http://shop.example/logout": false, "http://localhost.evil.test/": false, "http://127.0.0.1.evil.test/": false,
		"ftp://shop.example/": false, "file:///etc/passwd": false, "com.example.shop:/done": false,
		"https://user@shop.example/": false, "https://user:secret@shop.example/": false, "https://shop.example/#fragment": false, "https://shop.example/#": false,
		"https://shop.example\\@evil.test/": false, "https://shop.example/ x": false, "https://shop.example/\n": false, "https://shöp.example/": false,
		"https://shop.example:0/": false, "https://shop.example:99999/": false, "https://shop.example/" + strings.Repeat("a", 2000): false,
	} {
		err := client.CheckEndpoint(uri)
		if (err == nil) != want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want it accepted: %t", uri, err, want)
		}
		c := public()
		c.BackchannelLogoutURI, c.BackchannelLogoutSession = uri, true
		if got := c.Check() == nil; got != want {
			t.Errorf("client with %q: accepted %t, want %t", uri, got, want)
		}
	}
	c := public()
	c.BackchannelLogoutURI = "https://shop.example/logout"
	if err := c.Check(); err != nil {
		t.Errorf("without sessions: %v", err)
	}
}
