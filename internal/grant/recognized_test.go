package grant_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/keyring"
)

// What a token says is remembered once its signature was checked. What may be done with
// it is not.
func TestTokenAskedAboutAgainIsJudgedAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ends func(h *house, text string)
	}{
		{"expired", func(h *house, _ string) { h.clock.forward(25 * time.Hour) }},
		{"used up", func(h *house, text string) { h.once(text, orders) }},
		{"of a stolen key", func(h *house, _ string) {
			key, _ := h.ring.Signer(orders)
			must(h.t, h.ring.Retire(h.t.Context(), key.ID(), "test", keyring.Compromised))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			_, _, tok := h.signIn(orders)
			h.wantActive(tok.AccessToken, true)
			h.wantActive(tok.AccessToken, true)
			c.ends(h, tok.AccessToken)
			h.wantActive(tok.AccessToken, false)
		})
	}
}

// A forged token that differs from a known one in a single letter is another token.
func TestForgedCopyOfAKnownTokenIsInactive(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, tok := h.signIn(orders)
	h.wantActive(tok.AccessToken, true)
	for at := range len(tok.AccessToken) - 1 { // the last letter has bits that say nothing
		forged := []byte(tok.AccessToken)
		if forged[at]++; at%7 != 0 {
			continue
		}
		h.wantActive(string(forged), false)
	}
	h.wantActive(tok.AccessToken, true)
}
