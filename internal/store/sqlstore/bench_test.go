package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/pgtest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

const benchSessions = 2000

var benchStart = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// populated is a store with sessions, each of a user of its own with one role,
// and a grant.
func populated(b *testing.B) *sqlstore.Store {
	b.Helper()
	return populate(b, open(b, filepath.Join(b.TempDir(), "wafer.db")))
}

func populate(b *testing.B, s *sqlstore.Store) *sqlstore.Store {
	b.Helper()
	ctx := b.Context()
	check := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	check(s.AddRole(ctx, role.Role{ID: "clerk", Scopes: map[string][]string{"https://orders.example": {"orders:read", "orders:write"}}}, revoke.Effects{}))
	check(s.AddClient(ctx, client.Client{
		ID: "shop-web", Name: "Shop", Kind: client.Public, FirstParty: true, RedirectURIs: []string{"http://localhost:3000/callback"},
		Origins: []string{"http://localhost:3000"}, Grants: []string{"authorization_code", "refresh_token"},
		APIs: map[string][]string{"https://orders.example": {"orders:read"}},
	}, revoke.Effects{}))
	check(s.AddAPI(ctx, api.API{ID: "https://orders.example", Scopes: []string{"orders:read", "orders:write"}}.WithDefaults(), revoke.Effects{}))
	var all sync.WaitGroup
	for i := range benchSessions {
		all.Go(func() {
			id := fmt.Sprintf("usr_01k%023d", i)
			login := fmt.Sprintf("user%d@example.com", i)
			check(s.AddUser(ctx, account.User{ID: id, Login: login, Canonical: login, Roles: []string{"clerk"},
				PasswordHash: "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ"}, revoke.Effects{}))
			one := session.Session{
				ID: sid(i), Secret: opaque.Hash(sid(i)), UserID: id, ClientID: "shop-web", CreatedAt: benchStart, AuthTime: benchStart, AMR: []string{"pwd"},
				SeenAt: benchStart, IdleUntil: benchStart.Add(12 * time.Hour), ExpiresAt: benchStart.Add(7 * 24 * time.Hour), Address: "192.0.2.1",
				Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			}
			check(s.StartSession(ctx, one, revoke.Effects{}))
			_, err := s.AddGrant(ctx, grant.Grant{ID: gid(i), SessionID: one.ID, UserID: id, ClientID: "shop-web", APIID: "https://orders.example",
				Scopes: []string{"orders:read"}, CreatedAt: benchStart, ExpiresAt: one.ExpiresAt, Gen: 1, RotatedAt: benchStart}, revoke.Effects{})
			check(err)
		})
	}
	all.Wait()
	return s
}

func sid(i int) string { return fmt.Sprintf("ses_01k%023d", i) }
func gid(i int) string { return fmt.Sprintf("gra_01k%023d", i) }

// callers runs do b.N times from n goroutines and reports how many a second.
func callers(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkRefresh is a durable rotation of a refresh family with a touch of its
// session, as often as the clock of the benchmark lets the touch be due.
func BenchmarkRefresh(b *testing.B) { refresh(b, populated(b)) }

// populatedFar is populated with a server that waits for its disk.
func populatedFar(b *testing.B) *sqlstore.Store {
	b.Helper()
	return populate(b, node(b, pgtest.Start(b).URL("postgres")))
}

func BenchmarkPostgreSQLRefresh(b *testing.B) { refresh(b, populatedFar(b)) }

func refresh(b *testing.B, s *sqlstore.Store) {
	var turn atomic.Int64
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprint("callers=", n), func(b *testing.B) {
			callers(b, n, func(int) error {
				i := turn.Add(1)
				now := benchStart.Add(time.Duration(i) * time.Millisecond)
				return s.ChangeGrant(b.Context(), gid(int(i)%benchSessions), func(st grant.State) grant.Change {
					next := *st.Grant
					next.Gen, next.RotatedAt = next.Gen+1, now
					return grant.Change{Next: &next}
				})
			})
		})
	}
}

// BenchmarkPostgreSQLTouches is a flush of 500 uses.
func BenchmarkPostgreSQLTouches(b *testing.B) {
	s := populatedFar(b)
	touches := make([]session.Touch, 500)
	b.ResetTimer()
	for i := range b.N {
		now := benchStart.Add(time.Duration(i+1) * time.Millisecond)
		for j := range touches {
			touches[j] = session.Touch{ID: sid(j), Seen: now, IdleUntil: now.Add(12 * time.Hour)}
		}
		if n, err := s.TouchSessions(b.Context(), touches); n != len(touches) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkPostgreSQLSnapshot(b *testing.B) {
	s := populatedFar(b)
	callers(b, 16, func(i int) error {
		_, err := s.Snapshot(b.Context(), grant.Query{SessionSecret: opaque.Hash(sid(i % benchSessions)), ClientID: "shop-web", APIID: "https://orders.example"})
		return err
	})
}

func BenchmarkTouch(b *testing.B) {
	s := populated(b)
	var turn atomic.Int64
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", n), func(b *testing.B) {
			callers(b, n, func(int) error {
				i := turn.Add(1)
				now := benchStart.Add(time.Duration(i) * time.Millisecond)
				_, err := s.TouchSessions(b.Context(), []session.Touch{{ID: sid(int(i) % benchSessions), Seen: now, IdleUntil: now.Add(12 * time.Hour)}})
				return err
			})
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	s := populated(b)
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint("grant/callers=", n), func(b *testing.B) {
			callers(b, n, func(i int) error {
				_, err := s.Snapshot(b.Context(), grant.Query{GrantID: gid(i % benchSessions)})
				return err
			})
		})
		b.Run(fmt.Sprint("session/callers=", n), func(b *testing.B) {
			callers(b, n, func(i int) error {
				_, err := s.Snapshot(b.Context(), grant.Query{SessionID: sid(i % benchSessions), ClientID: "shop-web", APIID: "https://orders.example"})
				return err
			})
		})
		b.Run(fmt.Sprint("client/callers=", n), func(b *testing.B) {
			callers(b, n, func(int) error {
				_, err := s.Snapshot(b.Context(), grant.Query{ClientID: "shop-web", APIID: "https://orders.example"})
				return err
			})
		})
	}
}

func BenchmarkSessionBySecret(b *testing.B) {
	s := populated(b)
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint("callers=", n), func(b *testing.B) {
			callers(b, n, func(i int) error {
				_, _, _, err := s.SessionBySecret(b.Context(), opaque.Hash(sid(i%benchSessions)))
				return err
			})
		})
	}
}

func BenchmarkCovered(b *testing.B) {
	s := populated(b)
	for i := range 1000 {
		if _, err := s.Record(b.Context(), revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Token, Key: fmt.Sprint(i)}}}); err != nil {
			b.Fatal(err)
		}
	}
	refs := []revoke.Ref{{Kind: revoke.Token, Key: "t"}, {Kind: revoke.Client, Key: "c"}, {Kind: revoke.API, Key: "a"}, {Kind: revoke.Key, Key: "k"},
		{Kind: revoke.Grant, Key: "g"}, {Kind: revoke.Session, Key: "s"}, {Kind: revoke.User, Key: "u"}, {Kind: revoke.Claims, Key: "u"}}
	callers(b, 1, func(int) error {
		_, _, err := s.Covered(b.Context(), 500, refs)
		return err
	})
}

// What a hub writes of a crowd: a revocation that comes meanwhile waits for it.
func BenchmarkNotes(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s, ctx := open(b, filepath.Join(b.TempDir(), "wafer.db")), b.Context()
			notes := make([]feed.Note, n)
			for i := range notes {
				notes[i] = feed.Note{ID: fmt.Sprint("v", i), Epoch: 1, Node: "one", Seen: benchStart}
				must(b, s.AddVerifier(ctx, feed.Verifier{ID: notes[i].ID, Kind: feed.PartVerifier, Name: "v", Registered: benchStart, Note: notes[i]}))
			}
			for b.Loop() {
				for i := range notes {
					notes[i].Applied++
					notes[i].Seen = notes[i].Seen.Add(time.Second)
				}
				must(b, s.NoteVerifiers(ctx, notes))
			}
		})
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
