package sqlstore_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/pgtest"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/store/storetest"
)

// process is the PostgreSQL of this process; TestMain ends it.
var process pgtest.Process

// node opens one more store on a database of a server.
func node(t testing.TB, url string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A far store knows where it is.
type far struct {
	*sqlstore.Store
	url string
}

func TestPostgreSQLKeepsTheContract(t *testing.T) {
	t.Parallel()
	process.Server(t)
	open := func(t *testing.T, url string) store.Store { return far{node(t, url), url} }
	storetest.Run(t, storetest.Backend{
		Open: func(t *testing.T) store.Store {
			url, _ := process.Database(t)
			return open(t, url)
		},
		Reopen: func(t *testing.T, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(far).url)
		},
		Recover: func(t *testing.T, s store.Store) store.Store { return open(t, s.(far).url) },
	})
}

// A placed home knows where it is.
type placedHome struct {
	session.Home
	at sqlstore.Config
}

func openHome(t *testing.T, at sqlstore.Config) session.Home {
	t.Helper()
	h, err := sqlstore.OpenSessions(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return placedHome{h, at}
}

func TestSessionsOnPostgreSQLKeepTheContract(t *testing.T) {
	t.Parallel()
	process.Server(t)
	again := func(t *testing.T, h session.Home) session.Home { return openHome(t, h.(placedHome).at) }
	storetest.RunHome(t, storetest.HomeBackend{
		Open: func(t *testing.T) session.Home {
			url, _ := process.Database(t)
			return openHome(t, sqlstore.Config{URL: url})
		},
		Reopen: func(t *testing.T, h session.Home) session.Home {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			return again(t, h)
		},
		Recover: again,
		Second:  again,
	})
}

func TestOwnSessionsOnPostgreSQLKeepTheContract(t *testing.T) {
	t.Parallel()
	process.Server(t)
	storetest.RunHome(t, storetest.HomeBackend{
		Own: true,
		Open: func(t *testing.T) session.Home {
			url, _ := process.Database(t)
			return placedHome{node(t, url).Sessions(), sqlstore.Config{URL: url}}
		},
		Second: func(t *testing.T, h session.Home) session.Home { return node(t, h.(placedHome).at.URL).Sessions() },
	})
}
