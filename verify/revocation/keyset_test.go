package revocation_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// hearing notes which key sets a feed was told of.
type hearing struct {
	mu  sync.Mutex
	all []string
}

func (h *hearing) hear(version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.all, version) {
		h.all = append(h.all, version)
	}
}

func (h *hearing) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

func TestAnswersTellWhichKeySetThereIs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f, _ := start(t, h)
		var told hearing
		f.OnKeySet(told.hear)
		pass(time.Second)
		if got := told.heard(); len(got) != 0 || f.KeySet() != "" {
			t.Errorf("got %q of a hub that names none", got)
		}
		for _, version := range []string{"one", "two"} {
			h.set(func() { h.change = func(a *revocation.Answer) { a.KeySet = version } })
			pass(renewEvery)
			if f.KeySet() != version {
				t.Errorf("got %q, want %q", f.KeySet(), version)
			}
		}
		if got := told.heard(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("got %q", got)
		}
		if !f.Fresh(time.Now()) {
			t.Error("the feed has no lease")
		}
	})
}

// Only who holds the lease key, and answers what was asked, is heard.
func TestAttackForgedAnswersAnnounceNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f, _ := start(t, h)
		var told hearing
		f.OnKeySet(told.hear)
		honest := func(a *revocation.Answer) { a.KeySet = "honest" }
		h.set(func() { h.change = honest })
		pass(time.Second)
		for name, reseal := range map[string]func(revocation.Answer) string{
			"another key": func(a revocation.Answer) string {
				a.KeySet = "forged"
				s, err := revocation.SealLease(a, make([]byte, revocation.LeaseKeySize))
				if err != nil {
					t.Error(err)
				}
				return s
			},
			"another question": func(a revocation.Answer) string {
				a.KeySet, a.Nonce = "forged", "earlier"
				s, err := revocation.SealLease(a, h.leaseKey())
				if err != nil {
					t.Error(err)
				}
				return s
			},
			"a public key of no worth": func(a revocation.Answer) string {
				s, err := jose.Sign(h.key, jose.Header{Type: revocation.LeaseType}, []byte(`{"jwks":"forged"}`))
				if err != nil {
					t.Error(err)
				}
				return s
			},
		} {
			h.set(func() { h.reseal = reseal })
			pass(time.Second)
			if got := told.heard(); !slices.Equal(got, []string{"honest"}) {
				t.Errorf("%s: got %q", name, got)
			}
		}
		h.set(func() { h.reseal, h.change = nil, func(a *revocation.Answer) { a.KeySet = "honest too" } })
		pass(time.Second)
		if got := told.heard(); !slices.Equal(got, []string{"honest", "honest too"}) {
			t.Errorf("got %q", got)
		}
	})
}
