package token_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/token"
)

func refreshKey(t testing.TB) token.RefreshKey {
	t.Helper()
	r, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	return token.NewRefreshKey(r.Derive("refresh"))
}

func TestRefreshTokenIsAFunctionOfGrantAndGeneration(t *testing.T) {
	t.Parallel()
	k, id := refreshKey(t), opaque.ID(opaque.GrantID, time.Unix(1, 0))
	seventh, again, eighth := k.Encode(id, 7), k.Encode(id, 7), k.Encode(id, 8)
	if seventh != again || seventh == eighth {
		t.Error("encoding is not a function of grant and generation (R2)")
	}
	got, gen, ok := k.Decode(k.Encode(id, 7))
	if !ok || got != id || gen != 7 {
		t.Errorf("decoded %s %d %v", got, gen, ok)
	}
}

func FuzzRefreshDecode(f *testing.F) {
	k, id := refreshKey(f), opaque.ID(opaque.GrantID, time.Unix(1, 0))
	good := k.Encode(id, 7)
	for _, s := range []string{good, good + ".", strings.ToUpper(good), "wrt_", "wrt_..", good[:50], strings.Replace(good, ".7.", ".007.", 1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, gen, ok := k.Decode(s)
		if ok && k.Encode(id, gen) != s {
			t.Errorf("%q decodes, but is not what was encoded", s)
		}
	})
}

func TestClaimsRoundTrip(t *testing.T) {
	t.Parallel()
	a := token.Access{
		Issuer: "http://localhost", Subject: "usr_1", Audience: "https://a", ClientID: "c", Scope: "x y", SessionID: "s", GrantID: "g", ID: "j",
		IssuedAt: time.Unix(100, 0), ExpiresAt: time.Unix(400, 0), AuthTime: time.Unix(50, 0), ACR: "1", AMR: []string{"pwd"}, RSN: 9,
		Status: token.Status{URI: "http://localhost/status-lists/1", Index: 0},
	}
	b, err := a.Claims()
	if err != nil {
		t.Fatal(err)
	}
	got, err := token.ParseClaims(b)
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestOpaqueTokenHasItsForm(t *testing.T) {
	t.Parallel()
	text, digest := token.NewOpaque()
	if !token.IsOpaque(text) || digest != opaque.Hash(text) || token.IsOpaque(text+"A") || token.IsOpaque(text[4:]) {
		t.Errorf("%q", text)
	}
}
