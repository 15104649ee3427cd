package split_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/split"
)

// partly is a home that fails when it has removed some.
type partly struct {
	session.Home
	stop context.CancelFunc // the caller is stopped as well; may be nil
}

func (p *partly) End(ctx context.Context, ref revoke.Ref, seq int64) ([]string, error) {
	ids, err := p.Home.End(ctx, ref, seq)
	return ids, errors.Join(err, p.fail())
}

func (p *partly) Purge(ctx context.Context, now time.Time, limit int) ([]string, error) {
	ids, err := p.Home.Purge(ctx, now, limit)
	return ids, errors.Join(err, p.fail())
}

func (p *partly) fail() error {
	if p.stop != nil {
		p.stop()
	}
	return errBroken
}

// What a home removed before it failed is not named again.
func TestWhatHangsFromSessionsGoesWhenTheirHomeFailsHalfway(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{false, true} {
		for name, remove := range map[string]func(ctx context.Context, s *split.Store) error{
			"sweep": func(ctx context.Context, s *split.Store) error {
				_, err := s.Record(t.Context(), ends(revoke.Client, "web")) // whose grants the entry removes, not its sessions' others
				must(t, err)
				return s.Sweep(ctx)
			},
			"purge": func(ctx context.Context, s *split.Store) error {
				n, err := s.PurgeSessions(ctx, at(48*time.Hour), 10)
				if n != 1 {
					t.Errorf("purged %d, want 1", n)
				}
				return err
			},
		} {
			h := newHouse(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			home := &partly{Home: memory.NewHome()}
			if stopped {
				home.stop = stop
			}
			h.homes["mem://a"] = &flaky{Home: home}
			s := h.open("mem://a")
			must(t, s.AddUser(ctx, account.User{ID: "ada", Login: "ada", Canonical: "ada"}, revoke.Effects{}))
			must(t, s.AddClient(ctx, client.Client{ID: "app", Kind: client.Public}, revoke.Effects{}))
			start(t, s, "s1")
			ok, err := s.AddGrant(ctx, grant.Grant{ID: "g1", SessionID: "s1", UserID: "ada", ClientID: "app", Scopes: []string{"read"}}, revoke.Effects{})
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			if err := remove(ctx, s); !errors.Is(err, errBroken) {
				t.Errorf("%s: got %v, want %v", name, err, errBroken)
			}
			st, err := h.truth.Snapshot(t.Context(), grant.Query{GrantID: "g1"})
			must(t, err)
			if st.Grant != nil {
				t.Errorf("%s, caller stopped %v: the grant of a session that is no more is still there", name, stopped)
			}
		}
	}
}

// A session elsewhere is named by whoever read its record.
func TestEndOfASessionElsewhereNamesItsClients(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open("mem://a")
	ctx := t.Context()
	must(t, s.AddUser(ctx, account.User{ID: "ada", Login: "ada", Canonical: "ada"}, revoke.Effects{}))
	must(t, s.AddClient(ctx, client.Client{ID: "app", Kind: client.Public}, revoke.Effects{}))
	start(t, s, "s1")
	ok, err := s.AddGrant(ctx, grant.Grant{ID: "g1", SessionID: "s1", UserID: "ada", ClientID: "app", Scopes: []string{"read"}}, revoke.Effects{})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	k := session.NewKeeper(s, session.DefaultLimits(), h.clock)
	ok, err = k.End(ctx, session.EndOne{ID: "s1", Actor: "ada", Reason: "logout"})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	log, err := s.Revocations(ctx, 0, 10)
	must(t, err)
	if len(log) != 1 || log[0].Subject != "ada" || !slices.Equal(log[0].Clients, []string{"app", "web"}) {
		t.Errorf("got %+v, want one of ada, app and web", log)
	}
}
