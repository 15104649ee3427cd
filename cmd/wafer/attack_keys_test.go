package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	inventory "github.com/wafer-auth/wafer/examples/inventory/app"
	"github.com/wafer-auth/wafer/verify/jose"
)

type keyRow struct{ ID, API, Alg, State string }

// keysOf lists the keys of an API as the command line tells them.
func keysOf(t *testing.T, r *running, api string) map[string][]string {
	t.Helper()
	var all []keyRow
	if err := json.Unmarshal([]byte(mustWafer(t, "", "--data", r.data, "--json", "key", "list", "--api", api)), &all); err != nil {
		t.Fatal(err)
	}
	byState := map[string][]string{}
	for _, k := range all {
		byState[k.State] = append(byState[k.State], k.ID)
	}
	return byState
}

func published(r *running, kid string) bool {
	r.t.Helper()
	return strings.Contains(r.must(http.StatusOK, get("/.well-known/jwks.json")).text, kid)
}

// CONFIG-005: no good token is refused while keys change under load.
func TestRotationUnderLoadRefusesNoGoodToken(t *testing.T) {
	t.Parallel()
	r := besieged(t, 4)
	service := r.ordersService()
	first := keysOf(t, r, ordersAPI)["active"][0]
	visitors := []visitor{r.visit(person(0)), r.visit(person(1)), r.visit(person(2)), r.visit(person(3))}
	stop := make(chan struct{})
	var load sync.WaitGroup
	var bad findings
	for _, v := range visitors {
		load.Go(func() {
			held := []string{v.access} // from before, and from every moment since
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				fresh, err := r.fire(swapping(v, ordersAPI))
				if err != nil || fresh.StatusCode != http.StatusOK {
					bad.add("swap: %v %v %s", err, fresh.Response, fresh.text)
					return
				}
				held = append(held, fresh.str("access_token"))
				for _, token := range []string{held[0], held[n/2], held[len(held)-1]} {
					res, err := service.fire(get("/orders", bearer(token)))
					if err != nil || res.StatusCode != http.StatusOK {
						bad.add("orders: %v %v %v", err, res.Response, res.Header["Www-Authenticate"])
						return
					}
				}
			}
		})
	}
	mustWafer(t, "", "--data", r.data, "key", "rotate", "--api", ordersAPI)
	calm := keysOf(t, r, ordersAPI)
	if len(calm["announced"]) != 1 || len(calm["active"]) != 1 || calm["active"][0] != first || !published(r, calm["announced"][0]) || !published(r, first) {
		t.Errorf("after a calm rotation: %v", calm)
	}
	// A rotation under way is not doubled, also by two at once.
	storm(2, func(int) {
		var out, errs lockedBuffer
		if code := run(t.Context(), []string{"--data", r.data, "key", "rotate", "--api", ordersAPI}, terminal{in: strings.NewReader(""), out: &out, err: &errs}); code != 0 {
			bad.add("rotate: %s", &errs)
		}
	})
	if again := keysOf(t, r, ordersAPI); len(again["announced"]) != 1 {
		t.Errorf("after three calm rotations: %v", again)
	}
	mustWafer(t, "", "--data", r.data, "key", "rotate", "--api", ordersAPI, "--now")
	now := keysOf(t, r, ordersAPI)
	if len(now["active"]) != 1 || now["active"][0] != calm["announced"][0] || len(now["retired"]) != 1 || now["retired"][0] != first || !published(r, first) {
		t.Errorf("after an urgent rotation: %v, was %v", now, calm)
	}
	mustWafer(t, "", "--data", r.data, "key", "rotate", "--api", ordersAPI, "--now")
	if _, errs, code := wafer(t, "", "--data", r.data, "key", "retire", first); code != 1 {
		t.Errorf("a retired key was taken away too early: %s", errs)
	}
	if _, errs, code := wafer(t, "", "--data", r.data, "key", "retire", keysOf(t, r, ordersAPI)["active"][0]); code != 1 {
		t.Errorf("the active key was taken away: %s", errs)
	}
	for _, v := range visitors { // every one of them has used what came of it
		service.must(http.StatusOK, get("/orders", bearer(r.must(http.StatusOK, swapping(v, ordersAPI)).str("access_token"))))
	}
	close(stop)
	load.Wait()
	bad.report(t)
}

// JWT-016: what a compromised key signed is refused at once, by a service that
// still has the key in its cache, and nothing else is.
func TestTokensOfACompromisedKeyAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	service := r.ordersService()
	v, other := r.lively(r.visit(person(0)), service), r.visit(person(1))
	mail := r.must(http.StatusOK, swapping(v, mailAPI)).str("access_token")
	kid := keysOf(t, r, ordersAPI)["active"][0]
	mustWafer(t, "", "--data", r.data, "key", "retire", kid, "--compromised")
	for _, token := range []string{v.access, other.access} {
		service.must(http.StatusUnauthorized, get("/orders", bearer(token)))
		if r.active(token, "") {
			t.Error("a token of the compromised key is active")
		}
	}
	if keys := keysOf(t, r, ordersAPI); published(r, kid) || len(keys["active"]) != 1 || keys["active"][0] == kid {
		t.Errorf("keys are %v", keys)
	}
	if !r.active(mail, "") {
		t.Error("a token that the key did not sign is refused")
	}
	for _, who := range []visitor{v, other} {
		who.access = r.must(http.StatusOK, swapping(who, ordersAPI)).str("access_token")
		r.lively(who, service)
	}
	r.must(http.StatusOK, get("/api/v1/users", bearer(r.manager())))
	r.stop()
	again := serveOn(t, r.data, strings.TrimPrefix(r.url, "http://localhost:"))
	service.must(http.StatusUnauthorized, get("/orders", bearer(v.access)))
	if published(again, kid) {
		t.Error("the compromised key is back after a restart")
	}
}

// minted signs claims with a secret that a service, or a thief, has.
func minted(t *testing.T, from, kid, secret string, now time.Time) string {
	t.Helper()
	var claims map[string]any
	if err := json.Unmarshal([]byte(payload(from)), &claims); err != nil {
		t.Fatal(err)
	}
	claims["iat"], claims["exp"] = now.Unix(), now.Add(4*time.Minute).Unix()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.NewKey(jose.HS256, kid, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// JWT-016: a key that is out of use verifies nothing, however fresh the token.
// Only an HMAC key is known outside of Wafer, so only it can be tried.
func TestRemovedKeyVerifiesNothing(t *testing.T) {
	t.Parallel()
	// The service has the clock of this machine, so it is asked at the end only.
	h := clockHouseSince(t, 1, time.Now().Add(-48*time.Hour))
	secret := hit{method: http.MethodPost, path: "/api/v1/apis/https:%2F%2Finventory.example/secret"}
	first := h.local.must(http.StatusOK, secret)
	swapped := func() string {
		return h.must(http.StatusOK, swapping(h.visit(person(0)), inventoryAPI)).str("access_token")
	}
	mint := func(like string, key reply) string {
		return minted(t, like, key.str("key"), key.str("secret"), h.clock())
	}
	before := swapped()
	if !h.active(before, "") || !h.active(mint(before, first), "") {
		t.Error("a token of the active key is refused")
	}
	if h.active(minted(t, before, "k1", first.str("secret"), h.clock()), "") || h.active(minted(t, before, first.str("key"), strings.Repeat("A", 43), h.clock()), "") {
		t.Error("a token with another kid, or of another secret, is accepted")
	}
	h.local.must(http.StatusCreated, jsonOf(http.MethodPost, "/api/v1/keys/rotate", map[string]any{"api": inventoryAPI, "now": true}))
	if !h.active(before, "") {
		t.Error("a good token is refused right after the rotation")
	}
	h.forward(48 * time.Hour)
	h.restart() // which makes the moves that are due
	after := swapped()
	service := h.inventoryService(first.str("secret"))
	if forged := mint(after, first); h.active(forged, "") || !status(service, http.StatusUnauthorized, get("/inventory", bearer(forged))) {
		t.Error("a key that was removed still verifies")
	}
	second := h.local.must(http.StatusOK, secret)
	service = h.inventoryService(second.str("secret"))
	for _, token := range []string{after, mint(after, second)} {
		if !h.active(token, "") || !status(service, http.StatusOK, get("/inventory", bearer(token))) {
			t.Error("a token of the new key is refused")
		}
	}
	h.local.must(http.StatusOK, jsonOf(http.MethodPost, "/api/v1/keys/"+second.str("key")+"/retire", map[string]any{"compromised": true}))
	for _, token := range []string{after, mint(after, second)} {
		if h.active(token, "") || !status(service, http.StatusUnauthorized, get("/inventory", bearer(token))) {
			t.Error("a thief of the compromised key is let in")
		}
	}
}

// inventoryService starts the example service with an HMAC secret.
func (h *clockHouse) inventoryService(secret string) *running {
	h.t.Helper()
	handler, err := inventory.New(inventory.Config{
		Issuer: h.url, Audience: inventoryAPI, HMACSecret: secret, ClientID: "inventory-api", ClientSecret: clientSecrets,
		Stale: "degrade", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	h.t.Cleanup(s.Close)
	return &running{t: h.t, url: s.URL}
}
