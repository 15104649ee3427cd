package dpop

import (
	"net/url"
	"strings"
	"testing"
)

// Two addresses that count as one lead to one place, segment by segment: whatever is
// made alike, no slash and no dot segment comes or goes.
func FuzzAddressesThatAreAlikeLeadToOnePlace(f *testing.F) {
	for _, pair := range [][2]string{
		{"https://a.example/b", "HTTPS://A.example:443/%62"}, {"https://a.example", "https://a.example/"}, {"https://a.example/a%2Fb", "https://a.example/a/b"},
		{"https://a.example/a/../b", "https://a.example/b"}, {"https://a.example/%2e%2e/b", "https://a.example/b"}, {"https://a.example/b?x", "https://a.example/b#y"},
		{"http://[::1]:80/b", "http://[::1]/b"}, {"https://a.example/ü", "https://a.example/%C3%BC"}, {"https://a.example/%2f", "https://a.example/%2F"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if sameAddress(a, b) != sameAddress(b, a) {
			t.Fatalf("%q is %q, and not the reverse", a, b)
		}
		if !sameAddress(a, b) {
			return
		}
		u, errA := url.Parse(a)
		w, errB := url.Parse(b)
		if errA != nil || errB != nil {
			t.Fatalf("%q or %q is no URL", a, b)
		}
		if !strings.EqualFold(u.Scheme, w.Scheme) || !strings.EqualFold(u.Hostname(), w.Hostname()) {
			t.Errorf("%q and %q are at two hosts", a, b)
		}
		one, other := strings.Split(u.EscapedPath(), "/"), strings.Split(w.EscapedPath(), "/")
		if u.EscapedPath() == "" || w.EscapedPath() == "" {
			if strings.Trim(u.EscapedPath()+w.EscapedPath(), "/") != "" {
				t.Errorf("%q and %q are two paths", a, b)
			}
			return
		}
		if len(one) != len(other) {
			t.Fatalf("%q and %q have %d and %d segments", a, b, len(one), len(other))
		}
		for i := range one {
			x, errX := url.PathUnescape(one[i])
			y, errY := url.PathUnescape(other[i])
			if errX != nil || errY != nil || x != y || x == "." || x == ".." {
				t.Errorf("%q and %q differ at %q and %q", a, b, one[i], other[i])
			}
		}
	})
}

// Somebody on the way resolves a dot segment, and somebody else does not: what is for such
// an address is refused even there. DPOP-006.
func TestDotSegmentsAreNowhere(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://a.example/a/../b", "https://a.example/./b", "https://a.example/b/.", "https://a.example/..", "https://a.example/a/%2e%2E/b", "https://a.example/%2E/b"} {
		if sameAddress(address, address) {
			t.Errorf("%s is an address", address)
		}
	}
	for _, address := range []string{"https://a.example/a/.../b", "https://a.example/.well-known/x", "https://a.example/b.", "https://a.example/..b", "https://a.example/a%2F..%2Fb"} {
		if !sameAddress(address, address) {
			t.Errorf("%s is none", address)
		}
	}
}
