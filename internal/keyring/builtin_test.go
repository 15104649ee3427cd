package keyring_test

import (
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestFeedKeysStandApartFromTheKeySetOfTokens(t *testing.T) { // a frame's key must never check a token
	t.Parallel()
	r := newRing(t, &fake{}, newClock(), 0)
	mustEnsure(t, r, apiWith(orders, jose.EdDSA))
	mustEnsure(t, r, keyring.BuiltIn(keyring.ForFeed))
	mustEnsure(t, r, keyring.BuiltIn(keyring.ForEvents))
	body, _ := r.JWKS()
	for name, inside := range map[string]bool{orders: true, keyring.ForFeed: false, keyring.ForEvents: true} {
		key := signer(t, r, name)
		if got := strings.Contains(string(body), key.ID()); got != inside {
			t.Errorf("key of %s is in the key set: %t, want %t", name, got, inside)
		}
		set := r.Published(name)
		if len(set) != 1 || set[0].ID() != key.ID() || set[0].CanSign() {
			t.Errorf("published for %s: %d keys, want the public half of one", name, len(set))
		}
	}
}

func TestBuiltInNamesCannotBeTakenByAnAPI(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keyring.ForFeed, keyring.ForEvents} {
		a := api.API{ID: name, Token: api.Token{Alg: jose.EdDSA}}.WithDefaults()
		if err := a.Check(); err == nil {
			t.Errorf("an API may be called %s", name)
		}
	}
	good := api.API{ID: orders, Token: api.Token{Alg: jose.EdDSA}}.WithDefaults()
	if err := good.Check(); err != nil {
		t.Errorf("a proper API is refused: %v", err)
	}
}
