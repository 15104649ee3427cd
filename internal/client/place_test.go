package client_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
)

func TestRedirectIsComparedByteForByte(t *testing.T) {
	t.Parallel()
	c := public()
	if !c.MaySend("https://shop.example/callback") {
		t.Fatal("the registered URI is refused")
	}
	for _, uri := range []string{
		"https://shop.example/callback/", "https://shop.example/callback?x", "https://SHOP.example/callback",
		"https://shop.example/callback/../x", "https://shop.example:443/callback", "http://localhost:3001/callback", "",
	} {
		if c.MaySend(uri) {
			t.Errorf("%q is let through", uri)
		}
	}
	if !c.MaySend("https://shop.example/callback") {
		t.Fatal("the registered URI is refused")
	}
}

// CONTROL-005: a native application listens on whatever port is free.
func TestPortOfALoopbackAddressIsFree(t *testing.T) {
	t.Parallel()
	c := client.Client{ID: "cli", Kind: client.Public, RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]:7000/cb?a=1", "http://localhost:3000/cb"}}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]bool{
		"http://127.0.0.1/cb": true, "http://127.0.0.1:49152/cb": true, "http://[::1]:49152/cb?a=1": true, "http://[::1]/cb?a=1": true, "http://localhost:3000/cb": true,
		"http://localhost:49152/cb": false, "http://127.0.0.1:49152/cb/": false, "http://127.0.0.1:49152/": false, "http://127.0.0.1:49152": false,
		"http://127.0.0.1:0/cb": false, "http://127.0.0.1:/cb": false, "http://127.0.0.1:99999/cb": false, "http://127.0.0.1:x/cb": false,
		"http://127.0.0.1:1@evil.test/cb": false, "http://127.0.0.1@evil.test/cb": false, "http://127.0.0.1.evil.test/cb": false, "http://127.0.0.12/cb": false,
		"http://127.0.0.2:49152/cb": false, "https://127.0.0.1:49152/cb": false, "HTTP://127.0.0.1:49152/cb": false, "http://127.0.0.1:49152\\@evil.test/cb": false,
		"http://[::1]:49152/cb": false, "http://127.0.0.1:49152/cb#x": false, "http://127.0.0.1:49152/cb?a=1": false,
	} {
		if got := c.MaySend(uri); got != want {
			t.Errorf("%s: %t", uri, got)
		}
		if got := c.Returns(uri); got != want {
			t.Errorf("%s: returned to: %t", uri, got)
		}
	}
	c.Kind = client.Confidential // no native application: it keeps a secret
	if c.MaySend("http://127.0.0.1:49152/cb") || !c.MaySend("http://127.0.0.1/cb") {
		t.Error("a confidential client has a free port, or none at all")
	}
}

func TestBrowsersReturnToOriginsOfFirstPartyClientsOnly(t *testing.T) {
	t.Parallel()
	c := public()
	c.FirstParty = true
	good := []string{
		"https://shop.example/callback", "https://shop.example", "https://shop.example/", "https://shop.example/orders?id=7&next=//x", "https://shop.example?x",
		"http://localhost:3000/anywhere", "https://shop.example//evil.test", "https://shop.example/%2f%2fevil.test", "com.example.shop:/done",
	}
	for _, target := range good {
		if !c.Returns(target) {
			t.Errorf("%s is refused", target)
		}
	}
	for _, target := range []string{
		"", "/", "/callback", "//shop.example/", "//evil.test/", `/\evil.test`, `\\evil.test`, "https:shop.example/", "https:/shop.example/", "https:///shop.example/",
		"https://evil.test/", "https://shop.example.evil.test/", "https://shop.example@evil.test/", "https://shop.example:443/", "https://shop.example:8443/",
		"https://shop.example./", "https://SHOP.example/", "HTTPS://shop.example/", "http://shop.example/", "https://user@shop.example/", "https://evil.test/https://shop.example/",
		`https://shop.example\@evil.test/`, `https://shop.example/\evil`, "https://shop.example\t/", "https://shop.example/\r\nSet-Cookie: a=b", "https://shop.example/\x00", "https://shop.example/\x7f",
		" https://shop.example/", "https://shop.example/ ", "https://shop.example/ü", "https://shop\u3002example/", "https://shop.example/%zz", "https://shop.example/#x",
		"javascript:alert(1)", "data:text/html,x", "blob:https://shop.example/x", "https://shop.example/" + strings.Repeat("a", 2000), "http://localhost:3001/", "http://127.0.0.1:3000/",
		"com.example.shop:/other", "com.example.shop://evil.test",
	} {
		if c.Returns(target) {
			t.Errorf("%q is let through", target)
		}
	}
	for _, change := range []func(*client.Client){
		func(c *client.Client) { c.FirstParty = false },
		func(c *client.Client) { c.Origins = nil },
	} {
		other := public()
		other.FirstParty = true
		change(&other)
		if other.Returns("https://shop.example/orders") || !other.Returns("https://shop.example/callback") {
			t.Error("an address in the origin is let through, or the redirect URI is not")
		}
	}
	c.Disabled = true
	for _, target := range good {
		if c.Returns(target) {
			t.Errorf("disabled: %s is let through", target)
		}
	}
}

func TestRedirectsFollowFromTheOrigins(t *testing.T) {
	t.Parallel()
	c := client.Client{ID: "shop", Kind: client.Public, RedirectURIs: []string{"https://api.example/callback", "http://127.0.0.1/cb", "com.example.shop:/done"}}
	if err := c.Check(); err != nil {
		t.Errorf("without origins: %v", err)
	}
	c.Origins = []string{"https://shop.example"}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "https://api.example/callback lies outside of its origins https://shop.example") {
		t.Errorf("outside: %v", err)
	}
	c.Origins = append(c.Origins, "https://api.example")
	if err := c.Check(); err != nil {
		t.Errorf("inside: %v", err)
	}
}
