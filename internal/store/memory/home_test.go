package memory_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

func TestOwnSessionsKeepTheContractOfAHome(t *testing.T) {
	t.Parallel()
	storetest.RunHome(t, storetest.HomeBackend{Own: true, Open: func(t *testing.T) session.Home {
		s := memory.New()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s.Sessions()
	}})
}

func TestHomeKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.RunHome(t, storetest.HomeBackend{Open: openHome})
}

func openHome(t *testing.T) session.Home {
	h := memory.NewHome()
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
