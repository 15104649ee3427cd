package app_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/orders/app"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const audience = "https://orders.example"

func service(t *testing.T, change func(*app.Config)) (http.Handler, *verifytest.Issuer) {
	t.Helper()
	issuer := verifytest.NewIssuer(t, verifytest.WithAlgorithm(jose.RS256))
	c := app.Config{
		Issuer: issuer.URL(), Audience: audience, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: "a secret nobody asks for",
		Stale: "open", Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	h, err := app.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h, issuer
}

func call(h http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOrdersAreForTokensWithTheScope(t *testing.T) {
	t.Parallel()
	h, issuer := service(t, nil)
	good := func(more ...verifytest.Claim) string {
		return issuer.Token(append([]verifytest.Claim{verifytest.Audience(audience), verifytest.Scope("orders:read")}, more...)...)
	}
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"good", good(), http.StatusOK},
		{"nobody", "", http.StatusUnauthorized},
		{"another API's", issuer.Token(verifytest.Scope("orders:read")), http.StatusUnauthorized},
		{"expired", good(verifytest.ExpiresIn(-3600e9)), http.StatusUnauthorized},
		{"without the scope", good(verifytest.Scope("orders:write")), http.StatusForbidden},
		{"good again", good(), http.StatusOK},
	} {
		if got := call(h, c.token).Code; got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}

// TestOrdersComeWithTheStockOfInventory has an inventory that refuses the first
// token, as after a revocation.
func TestOrdersComeWithTheStockOfInventory(t *testing.T) {
	t.Parallel()
	key, err := jose.Generate(jose.RS256, "k1")
	if err != nil {
		t.Fatal(err)
	}
	tokens, refused := 0, 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.KeySet{key})
	})
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "orders-api" || secret != "secret" || r.FormValue("resource") != "https://inventory.example" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		tokens++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":300}`, tokens)
	})
	mux.HandleFunc("GET /inventory", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-2" {
			refused++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"stock":{"vanilla wafers":7}}`)
	})
	wafer := httptest.NewServer(mux)
	t.Cleanup(wafer.Close)
	h, err := app.New(app.Config{
		Issuer: wafer.URL, Audience: audience, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: "secret", Stale: "open",
		Inventory: wafer.URL, InventoryAudience: "https://inventory.example", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"usr_ada","client_id":"shop","jti":"t1","iat":%d,"exp":%d,"scope":"orders:read"}`, wafer.URL, audience, now, now+60)
	token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w := call(h, token)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"in_stock":7`) || strings.Contains(w.Body.String(), `"note"`) {
			t.Fatalf("got %d %s, want the stock", w.Code, w.Body)
		}
	}
	if tokens != 2 || refused != 1 {
		t.Errorf("%d tokens were got and %d refused, want 2 and 1: one is kept, one renewed", tokens, refused)
	}
}

func TestOrdersComeWithANoteWhenInventoryCannotBeAsked(t *testing.T) {
	t.Parallel()
	h, issuer := service(t, func(c *app.Config) { c.Inventory = "http://127.0.0.1:1" })
	w := call(h, issuer.Token(verifytest.Audience(audience), verifytest.Scope("orders:read")))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"note"`) {
		t.Fatalf("got %d %s, want the orders and a note", w.Code, w.Body)
	}
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	good := app.Config{Issuer: "http://localhost:8080", Audience: audience, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: "secret"}
	if _, err := app.New(good); err != nil {
		t.Fatalf("good configuration: %v", err)
	}
	for name, change := range map[string]func(*app.Config){
		"stale":     func(c *app.Config) { c.Stale = "whatever" },
		"audience":  func(c *app.Config) { c.Audience = "" },
		"algorithm": func(c *app.Config) { c.Algorithm = "none" },
		"secret":    func(c *app.Config) { c.ClientSecret = "" },
		"base":      func(c *app.Config) { c.Base = "http://orders.example" },
	} {
		c := good
		change(&c)
		if _, err := app.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnswerSaysWhoAndByWhat(t *testing.T) {
	t.Parallel()
	h, issuer := service(t, nil)
	w := call(h, issuer.Token(verifytest.Audience(audience), verifytest.Scope("orders:read"), verifytest.Subject("usr_ada")))
	var got app.Answer
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.User != "usr_ada" || got.By != "token" || len(got.Orders) != 2 || got.Note != "" {
		t.Errorf("got %+v", got)
	}
}

// A token that is bound to a key is good with that key's proof for this very request,
// and with nothing else.
func TestAttackBoundTokenWithoutItsKey(t *testing.T) {
	t.Parallel()
	const base = "http://localhost:8081"
	h, issuer := service(t, func(c *app.Config) { c.Base = base })
	own, thief := proofKey(t), proofKey(t)
	token := issuer.Token(verifytest.Audience(audience), verifytest.Scope("orders:read"), verifytest.Bound(own))
	ask := func(scheme string, key *jose.Key, address string) int {
		r := httptest.NewRequest(http.MethodGet, "/orders", nil)
		r.Header.Set("Authorization", scheme+" "+token)
		if key != nil {
			proof, err := dpop.Sign(key, dpop.Request{Method: http.MethodGet, URL: address, Token: token, Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("DPoP", proof)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, c := range []struct {
		name, scheme string
		key          *jose.Key
		address      string
		want         int
	}{
		{"its key", "DPoP", own, base + "/orders", http.StatusOK},
		{"as a bearer token", "Bearer", nil, "", http.StatusUnauthorized},
		{"no proof", "DPoP", nil, "", http.StatusUnauthorized},
		{"another key", "DPoP", thief, base + "/orders", http.StatusUnauthorized},
		{"proof for another service", "DPoP", own, "http://localhost:8082/orders", http.StatusUnauthorized},
		{"its key again", "DPoP", own, base + "/orders", http.StatusOK},
	} {
		if got := ask(c.scheme, c.key, c.address); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}

func proofKey(t *testing.T) *jose.Key {
	t.Helper()
	key, err := jose.Generate(jose.ES256, "")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Clients compare the identifier with the address they called, so it is told only where
// both are one.
func TestServiceDescribesItselfWhereItsIdentifierIsItsAddress(t *testing.T) {
	t.Parallel()
	const path = "/.well-known/oauth-protected-resource"
	get := func(h http.Handler) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	h, issuer := service(t, func(c *app.Config) { c.Base = audience })
	var told struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Proofs   []string `json:"dpop_signing_alg_values_supported"`
	}
	if err := json.Unmarshal(get(h).Body.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	if told.Resource != audience || len(told.Servers) != 1 || told.Servers[0] != issuer.URL() || len(told.Proofs) == 0 {
		t.Errorf("got %+v", told)
	}
	if challenge := call(h, "").Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `resource_metadata="`+audience+path+`"`) {
		t.Errorf("the challenge is %s", challenge)
	}
	elsewhere, _ := service(t, func(c *app.Config) { c.Base = "http://localhost:8081" })
	if w := get(elsewhere); w.Code != http.StatusNotFound {
		t.Errorf("another address: %d %s", w.Code, w.Body)
	}
	if challenge := call(elsewhere, "").Header().Get("WWW-Authenticate"); strings.Contains(challenge, "resource_metadata") {
		t.Errorf("another address: the challenge is %s", challenge)
	}
}
