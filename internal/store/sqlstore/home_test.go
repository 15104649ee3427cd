package sqlstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

func TestSessionsInAFileKeepTheContract(t *testing.T) {
	t.Parallel()
	storetest.RunHome(t, storetest.HomeBackend{
		Open: func(t *testing.T) session.Home {
			return openHome(t, sqlstore.Config{Path: filepath.Join(t.TempDir(), "sessions.db")})
		},
		Reopen: func(t *testing.T, h session.Home) session.Home {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			return openHome(t, h.(placedHome).at)
		},
		Recover: func(t *testing.T, h session.Home) session.Home {
			from, to := h.(placedHome).at.Path, filepath.Join(t.TempDir(), "copy.db")
			for _, suffix := range []string{"", "-wal"} {
				data, err := os.ReadFile(from + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to+suffix, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return openHome(t, sqlstore.Config{Path: to})
		},
	})
}

func TestOwnSessionsInAFileKeepTheContract(t *testing.T) {
	t.Parallel()
	storetest.RunHome(t, storetest.HomeBackend{
		Own: true,
		Open: func(t *testing.T) session.Home {
			return open(t, filepath.Join(t.TempDir(), "wafer.db")).Sessions()
		},
	})
}
