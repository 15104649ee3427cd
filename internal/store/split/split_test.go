package split_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/split"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

func backend(url string, prepare func(*testing.T, *house, *split.Store)) storetest.Backend {
	return storetest.Backend{
		Open: func(t *testing.T) store.Store {
			h := newHouse(t)
			c := h.config(url)
			c.Longest = time.Hour // the contract's shortest entries are kept for an hour
			s, err := split.Open(t.Context(), c)
			must(t, err)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			if prepare != nil {
				prepare(t, h, s)
			}
			return s
		},
		Settle: func(t *testing.T, s store.Store) {
			t.Helper()
			must(t, s.(*split.Store).Sweep(t.Context()))
		},
	}
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	announce := func(t *testing.T, _ *house, s *split.Store) {
		t.Helper()
		must(t, s.StartMove(t.Context(), "mem://b"))
	}
	begin := func(t *testing.T, h *house, s *split.Store) {
		t.Helper()
		announce(t, h, s)
		h.forward(time.Minute)
		p, err := s.Move(t.Context())
		if err != nil || p.Stage != "moving" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	for _, c := range []struct {
		name, url string
		prepare   func(*testing.T, *house, *split.Store)
	}{
		{"SessionsInTheTruth", "", nil},
		{"SessionsApart", "mem://a", nil},
		{"MoveAnnounced", "mem://a", announce},
		{"Moving", "mem://a", begin},
		{"MoveOutOfTheTruthAnnounced", "", announce},
		{"MovingOutOfTheTruth", "", begin},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, backend(c.url, c.prepare))
		})
	}
}
