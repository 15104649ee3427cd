package grant_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/verify/jose"
)

// signs makes a JWT by one of the keys of the house.
func (h *house) signs(name, typ string, claims map[string]any) string {
	h.t.Helper()
	key, ok := h.ring.Signer(name)
	if !ok {
		h.t.Fatalf("no key %s", name)
	}
	body, err := json.Marshal(claims)
	must(h.t, err)
	text, err := jose.Sign(key, jose.Header{Type: typ}, body)
	must(h.t, err)
	return text
}

func without(claims map[string]any, name string) map[string]any {
	out := map[string]any{}
	for k, v := range claims {
		if k != name {
			out[k] = v
		}
	}
	return out
}

func TestIDTokenHintIsAnIDTokenOfOursAndNothingElse(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	h.changeClient("web", func(c *client.Client) { c.OAuth.UserinfoAlg = jose.RS256 })
	s := h.login()
	tok, err := h.exchange("web", shownCode(h.code(request("web"), s)))
	must(t, err)
	info, err := h.Userinfo(t.Context(), grant.Shown{Token: tok.AccessToken, Scheme: "Bearer"})
	must(t, err)
	made := h.clock.now()
	good := func() {
		t.Helper()
		hint, ok, err := h.IDTokenHint(t.Context(), tok.IDToken)
		must(t, err)
		if !ok || hint != (grant.Hint{Subject: h.ada.ID, SessionID: s.ID, ClientID: "web", IssuedAt: made}) {
			t.Fatalf("the ID token is not taken: %v %+v", ok, hint)
		}
	}
	good()
	parts := strings.Split(tok.IDToken, ".")
	claims := claimsOf(t, tok.IDToken)
	claims["sub"] = "usr_evil"
	other, err := json.Marshal(claims)
	must(t, err)
	claims = claimsOf(t, tok.IDToken)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	rs := keyring.ForIssuer(jose.RS256)
	for name, text := range map[string]string{
		"access token":          tok.AccessToken,
		"refresh token":         tok.RefreshToken,
		"signed userinfo":       string(info.Body),
		"modified":              parts[0] + "." + base64.RawURLEncoding.EncodeToString(other) + "." + parts[2],
		"none":                  none + "." + parts[1] + ".",
		"none with signature":   none + "." + parts[1] + "." + parts[2],
		"no signature":          parts[0] + "." + parts[1] + ".",
		"nothing":               "",
		"dots":                  "..",
		"logout token":          h.signs(rs, "logout+jwt", claims),
		"access token type":     h.signs(rs, "at+jwt", claims),
		"no type":               h.signs(rs, "", claims),
		"by the key of an API":  h.signs(orders, "JWT", claims),
		"by the management key": h.signs(api.Management, "JWT", claims),
		"other issuer":          h.signs(rs, "JWT", map[string]any{"iss": "https://other.example", "sub": h.ada.ID, "aud": "web", "sid": s.ID, "exp": 1}),
		"no audience":           h.signs(rs, "JWT", without(claims, "aud")),
		"no subject":            h.signs(rs, "JWT", without(claims, "sub")),
		"no session":            h.signs(rs, "JWT", without(claims, "sid")),
		"two audiences":         h.signs(rs, "JWT", map[string]any{"iss": issuer, "sub": h.ada.ID, "aud": []string{"web", "web2"}, "sid": s.ID, "exp": 1}),
	} {
		if hint, ok, err := h.IDTokenHint(t.Context(), text); ok || err != nil {
			t.Errorf("%s: %v %v %+v", name, ok, err, hint)
		}
	}
	if _, ok, err := h.IDTokenHint(t.Context(), h.signs(rs, "JWT", claims)); !ok || err != nil {
		t.Errorf("the same claims signed by the right key are not taken: %v", err)
	}
	h.clock.forward(30 * 24 * time.Hour) // long expired, and still a hint
	good()
}
