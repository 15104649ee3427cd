package authorize_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/verify/jose"
)

// claimsOf are those of a request object of a client that is all right.
func (h *house) claimsOf(clientID string, p authorize.Params) map[string]any {
	now := h.clock.now()
	all := map[string]any{
		"iss": clientID, "aud": issuer, "exp": now.Add(5 * time.Minute).Unix(), "nbf": now.Unix(), "iat": now.Unix(),
	}
	for name, values := range p {
		all[name] = values[0]
	}
	all["client_id"] = clientID
	return all
}

func (h *house) sign(k *jose.Key, typ string, claims map[string]any) string {
	h.t.Helper()
	body, err := json.Marshal(claims)
	must(h.t, err)
	text, err := jose.Sign(k, jose.Header{Type: typ}, body)
	must(h.t, err)
	return text
}

const objectType = "oauth-authz-req+jwt"

func TestSignedRequestsCountAndWhatStandsBesideThemDoesNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	inside := h.claimsOf("rp1", ask("state", "the state", "nonce", "inside"))
	inside["max_age"] = 60
	inside["claims"] = map[string]any{"userinfo": map[string]any{"email": nil}}
	for _, typ := range []string{objectType, "application/" + objectType, "JWT", ""} {
		p := ask("nonce", "outside", "scope", "openid users:write", "redirect_uri", "https://evil.test/", "response_type", "token", "request", h.sign(h.key, typ, inside))
		r := h.fine(p)
		if r.Nonce != "inside" || r.RedirectURI != back || *r.MaxAge != 60 || r.Claims.Userinfo[0] != "email" || strings.Join(r.Scopes, " ") != "openid profile" {
			t.Errorf("typ %q: %+v", typ, r)
		}
	}
	h.fine(authorize.Params{"client_id": {"rp1"}, "request": {h.sign(h.key, objectType, inside)}})
	delete(inside, "state")
	if r := h.fine(ask("request", h.sign(h.key, objectType, inside))); r.State != "" {
		t.Errorf("state from outside: %q", r.State)
	}
}

func TestClientsThatMustSignDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := ask("client_id", "signs", "redirect_uri", "https://signs.test/cb")
	h.fine(authorize.Params{"client_id": {"signs"}, "request": {h.sign(h.key, objectType, h.claimsOf("signs", p))}})
	_, err := h.read(p)
	told(t, "unsigned", err, oidc.InvalidRequest)
}

func TestAUTHZ009RequestObjectsThatProveNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other, err := jose.Generate(jose.ES256, "rp1-key")
	must(t, err)
	public, err := json.Marshal(h.key.Public())
	must(t, err)
	confused := func(claims map[string]any) string {
		body, err := json.Marshal(claims)
		must(t, err)
		text := jose.EncodeSegment([]byte(`{"alg":"HS256","kid":"rp1-key","typ":"oauth-authz-req+jwt"}`)) + "." + jose.EncodeSegment(body)
		code := hmac.New(sha256.New, public)
		code.Write([]byte(text))
		return text + "." + jose.EncodeSegment(code.Sum(nil))
	}
	good := func() { h.fine(ask("request", h.sign(h.key, objectType, h.claimsOf("rp1", ask())))) }
	with := func(name string, value any) string {
		c := h.claimsOf("rp1", ask())
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		return h.sign(h.key, objectType, c)
	}
	now := h.clock.now()
	body, _ := json.Marshal(h.claimsOf("rp1", ask()))
	unsigned := jose.EncodeSegment([]byte(`{"alg":"none","typ":"oauth-authz-req+jwt"}`)) + "." + jose.EncodeSegment(body) + "."
	signed := h.sign(h.key, objectType, h.claimsOf("rp1", ask()))
	recipient, err := jose.GenerateDecryptionKey("ECDH-ES", "x")
	must(t, err)
	wrapped, err := jose.Encrypt(recipient.Recipient(), jose.Header{}, signed)
	must(t, err)
	good()
	for name, text := range map[string]string{
		"alg none": unsigned, "alg none, other case": strings.Replace(unsigned, jose.EncodeSegment([]byte(`{"alg":"none"`))[:10], jose.EncodeSegment([]byte(`{"alg":"nOnE"`))[:10], 1),
		"signed by another": h.sign(other, objectType, h.claimsOf("rp1", ask())), "HMAC with the public key": confused(h.claimsOf("rp1", ask())),
		"signature cut off": signed[:strings.LastIndex(signed, ".")+1], "changed": signed[:len(signed)-8] + "AAAAAAAA", "encrypted": wrapped,
		"not a JWT": "x", "typ of an access token": h.sign(h.key, "at+jwt", h.claimsOf("rp1", ask())), "typ of a proof": h.sign(h.key, "dpop+jwt", h.claimsOf("rp1", ask())),
		"iss": with("iss", "rp2"), "no iss": with("iss", nil), "aud": with("aud", "https://other.example"), "no aud": with("aud", nil), "client_id": with("client_id", "rp2"),
		"no client_id": with("client_id", nil), "sub is the client": with("sub", "rp1"), "expired": with("exp", now.Unix()), "no exp": with("exp", nil),
		"exp over 60 minutes": with("exp", now.Add(62*time.Minute).Unix()), "nbf ahead": with("nbf", now.Add(61*time.Second).Unix()),
		"nbf over 60 minutes ahead": with("nbf", now.Add(61*time.Minute).Unix()), "nbf over 60 minutes ago": with("nbf", now.Add(-61*time.Minute).Unix()),
		"another inside": with("request", "x"), "a request_uri inside": with("request_uri", "x"), "state is a number": with("state", 1), "claims is a text": with("claims", "{}"),
	} {
		_, err := h.read(ask("request", text))
		told(t, name, err, "invalid_request_object|request_not_supported")
	}
	_, err = h.read(ask("request", signed, "request_uri", "https://rp1.test/object"))
	told(t, "both", err, "request_uri_not_supported|invalid_request")
	if c := h.claimsOf("rp1", ask()); true {
		c["nbf"] = now.Add(8 * time.Second).Unix() // FAPI 2.0: a clock that is a little ahead
		h.fine(ask("request", h.sign(h.key, objectType, c)))
	}
	good()
}

func TestRequestObjectsKeepToTheAlgorithmOfTheClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	text := h.sign(h.key, objectType, h.claimsOf("rp1", ask()))
	h.fine(ask("request", text))
	h.change("rp1", func(c *client.Client) { c.OAuth.RequestAlg = jose.PS256 })
	_, err := h.read(ask("request", text))
	told(t, "another alg than registered", err, oidc.InvalidRequestObject)
	h.change("rp1", func(c *client.Client) { c.OAuth.RequestAlg = jose.ES256 })
	h.fine(ask("request", text))
	// What is wrong inside of an object that is the client's goes where the object says.
	inside := h.claimsOf("rp1", ask())
	inside["response_type"] = "token"
	_, err = h.read(ask("request", h.sign(h.key, objectType, inside), "redirect_uri", "https://evil.test/"))
	if a := answerOf(t, err); a.To != back || value(a, "error") != oidc.UnsupportedResponseType {
		t.Errorf("answer %+v", a)
	}
	inside = h.claimsOf("rp1", ask())
	inside["redirect_uri"] = "https://evil.test/"
	_, err = h.read(ask("request", h.sign(h.key, objectType, inside)))
	shown(t, "evil inside", err)
}

func TestKeysThatAreNotAtHandAreNoRefusalOfTheClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	text := h.sign(h.key, objectType, h.claimsOf("rp1", ask()))
	h.fine(ask("request", text))
	h.change("rp1", func(c *client.Client) { c.OAuth.JWKS, c.OAuth.JWKSURI = nil, "https://rp1.test/keys" })
	_, err := h.read(ask("request", text))
	told(t, "address does not answer", err, oidc.TemporarilyUnavailable)
	h.change("rp1", func(c *client.Client) { c.OAuth.JWKSURI = "" })
	_, err = h.read(ask("request", text))
	told(t, "no keys at all", err, oidc.InvalidRequestObject)
}
