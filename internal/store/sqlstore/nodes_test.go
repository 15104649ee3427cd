package sqlstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/internal/ticket"
)

const racers = 50

// between runs try in many goroutines that start together, half on each of two
// nodes, and returns how many reported true.
func between(t *testing.T, nodes [2]*sqlstore.Store, try func(s *sqlstore.Store, i int) (bool, error)) int {
	t.Helper()
	var ready, finished sync.WaitGroup
	var won atomic.Int64
	start := make(chan struct{})
	for i := range racers {
		ready.Add(1)
		finished.Go(func() {
			ready.Done()
			<-start
			ok, err := try(nodes[i%2], i)
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Errorf("racer %d: %v", i, err)
			}
			if ok && err == nil {
				won.Add(1)
			}
		})
	}
	ready.Wait()
	close(start)
	finished.Wait()
	return int(won.Load())
}

func twoNodes(t *testing.T) [2]*sqlstore.Store {
	t.Helper()
	url, _ := process.Database(t)
	return [2]*sqlstore.Store{node(t, url), node(t, url)}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func login(id, userID string) session.Session {
	return session.Session{ID: id, Secret: opaque.Hash(id), UserID: userID, CreatedAt: benchStart, AuthTime: benchStart, AMR: []string{"pwd"},
		SeenAt: benchStart, IdleUntil: benchStart.Add(time.Hour), ExpiresAt: benchStart.Add(24 * time.Hour)}
}

// family is a user with a session and a grant at a client.
func family(t testing.TB, s *sqlstore.Store) {
	t.Helper()
	ctx := t.Context()
	for _, err := range []error{
		s.AddUser(ctx, user("ada"), revoke.Effects{}), s.AddClient(ctx, client.Client{ID: "web", Kind: client.Public}, revoke.Effects{}),
		s.StartSession(ctx, login("s1", "ada"), revoke.Effects{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ok, err := s.AddGrant(ctx, grant.Grant{ID: "g1", SessionID: "s1", UserID: "ada", ClientID: "web", APIID: "api", Scopes: []string{"read"}, Gen: 1,
		ExpiresAt: benchStart.Add(time.Hour)}, revoke.Effects{})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestRacesBetweenNodesHaveOneWinner(t *testing.T) {
	t.Parallel()
	process.Server(t)
	for _, c := range []struct {
		name    string
		prepare func(ctx context.Context, s *sqlstore.Store) error
		try     func(ctx context.Context, s *sqlstore.Store, i int) (bool, error)
	}{
		{"redeem the bootstrap token", func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.OfferBootstrap(ctx, opaque.Hash("offer"), benchStart)
			return err
		}, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			u := user(fmt.Sprint("admin", i))
			u.Roles = []string{account.AdminRole}
			return s.RedeemBootstrap(ctx, opaque.Hash("offer"), benchStart.Add(-time.Second), u, revoke.Effects{})
		}},
		{"rotate a refresh token", nil, func(ctx context.Context, s *sqlstore.Store, _ int) (won bool, err error) {
			err = s.ChangeGrant(ctx, "g1", func(st grant.State) grant.Change {
				won = st.Grant.Gen == 1
				if !won {
					return grant.Change{}
				}
				next := *st.Grant
				next.Gen++
				return grant.Change{Next: &next}
			})
			return won, err
		}},
		{"renew a session", nil, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			next := login("s1", "ada")
			next.Secret = opaque.Hash(fmt.Sprint("next", i))
			return s.RenewSession(ctx, opaque.Hash("s1"), next, revoke.Effects{})
		}},
		{"activate a key", func(ctx context.Context, s *sqlstore.Store) error {
			var keys []keyring.Record
			for i := range racers {
				keys = append(keys, keyring.Record{ID: fmt.Sprint("k", i), API: "api", State: keyring.Announced, CreatedAt: benchStart})
			}
			_, err := s.ChangeKeys(ctx, keys, nil, revoke.Effects{})
			return err
		}, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			return s.ChangeKeys(ctx, nil, []keyring.Move{{ID: fmt.Sprint("k", i), From: keyring.Announced, To: keyring.Active, At: benchStart}}, revoke.Effects{})
		}},
		{"add a ticket", nil, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			return s.AddTicket(ctx, proof("t", fmt.Sprint(i)), revoke.Effects{})
		}},
		{"take a ticket", func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.AddTicket(ctx, proof("t", "body"), revoke.Effects{})
			return err
		}, func(ctx context.Context, s *sqlstore.Store, _ int) (bool, error) {
			one, found, err := s.TakeTicket(ctx, ticket.Proof, opaque.Hash("t"))
			return found && string(one.Body) == "body", err
		}},
		{"change a ticket", func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.AddTicket(ctx, proof("t", "body"), revoke.Effects{})
			return err
		}, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			return s.ChangeTicket(ctx, proof("t", fmt.Sprint(i)), revoke.Effects{})
		}},
		{"redeem a code", func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.AddGrant(ctx, code("c1"), revoke.Effects{})
			return err
		}, func(ctx context.Context, s *sqlstore.Store, _ int) (won bool, err error) {
			err = s.ChangeGrant(ctx, "c1", func(st grant.State) grant.Change {
				won = st.Grant.Pending()
				if !won {
					return grant.Change{}
				}
				next := *st.Grant
				next.Gen, next.Details.Challenge = 1, ""
				return grant.Change{Next: &next}
			})
			return won, err
		}},
		{"put once", nil, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			there, err := s.PutOnce(ctx, "installation", fmt.Sprint(i))
			return there == fmt.Sprint(i), err
		}},
		{"take a login", nil, func(ctx context.Context, s *sqlstore.Store, i int) (bool, error) {
			u := user(fmt.Sprint("u", i))
			u.Canonical = "same@example.com"
			err := s.AddUser(ctx, u, revoke.Effects{})
			return err == nil, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			nodes := twoNodes(t)
			family(t, nodes[0])
			if c.prepare != nil {
				check(t, c.prepare(t.Context(), nodes[0]))
			}
			won := between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) { return c.try(t.Context(), s, i) })
			if won != 1 {
				t.Errorf("%d winners, want 1", won)
			}
		})
	}
}

// TestNothingIsMintedAfterTheEndOnAnotherNode: a grant or token is there before
// the end of its session and goes with it, or it is refused.
func TestNothingIsMintedAfterTheEndOnAnotherNode(t *testing.T) {
	t.Parallel()
	process.Server(t)
	nodes := twoNodes(t)
	family(t, nodes[0])
	ctx := t.Context()
	between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) {
		if i == racers/2 {
			_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Session, Key: "s1"}}})
			return err == nil, err
		}
		if i%3 == 0 {
			return s.AddToken(ctx, grant.AccessToken{Digest: opaque.Hash(fmt.Sprint(i)), ID: fmt.Sprint(i), SessionID: "s1", UserID: "ada", ClientID: "web"})
		}
		return s.AddGrant(ctx, grant.Grant{ID: fmt.Sprint("g", i+2), SessionID: "s1", UserID: "ada", ClientID: "web"}, revoke.Effects{})
	})
	for i := range racers {
		_, found, err := nodes[1].TokenByDigest(ctx, opaque.Hash(fmt.Sprint(i)))
		check(t, err)
		st, err := nodes[1].Snapshot(ctx, grant.Query{GrantID: fmt.Sprint("g", i+2)})
		check(t, err)
		if found || st.Grant != nil {
			t.Errorf("racer %d left a token (%v) or a grant (%v) behind its session's end", i, found, st.Grant != nil)
		}
	}
}

func proof(key, body string) ticket.Ticket {
	return ticket.Ticket{Kind: ticket.Proof, Key: opaque.Hash(key), Body: []byte(body), ExpiresAt: benchStart, Version: 1}
}

// code is a grant that rests on a consent of ada to web, and was not exchanged.
func code(id string) grant.Grant {
	return grant.Grant{ID: id, SessionID: "s1", UserID: "ada", ClientID: "web", APIID: "api", ExpiresAt: benchStart.Add(time.Hour),
		Details: grant.Details{Challenge: "challenge"}}
}

// TestConsentsMergeBetweenNodes: nobody's scope is lost.
func TestConsentsMergeBetweenNodes(t *testing.T) {
	t.Parallel()
	process.Server(t)
	nodes := twoNodes(t)
	family(t, nodes[0])
	ctx := t.Context()
	won := between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) {
		return s.GiveConsent(ctx, consent.Consent{UserID: "ada", ClientID: "web", APIID: "api", Scopes: []string{fmt.Sprint(i), "all"}}, revoke.Effects{})
	})
	c, _, err := nodes[1].ConsentFor(ctx, "ada", "web", "api")
	check(t, err)
	if won != racers || len(c.Scopes) != racers+1 {
		t.Errorf("%d were given, and %v is there", won, c.Scopes)
	}
}

// TestNoCodeSurvivesAWithdrawalOnAnotherNode: at READ COMMITTED the one who withdraws
// could miss a grant that another node has written and not committed, were it not for
// the lock that every change of a node takes first.
func TestNoCodeSurvivesAWithdrawalOnAnotherNode(t *testing.T) {
	t.Parallel()
	process.Server(t)
	for _, consented := range []bool{true, false} {
		t.Run(fmt.Sprint("consented=", consented), func(t *testing.T) {
			t.Parallel()
			nodes := twoNodes(t)
			family(t, nodes[0])
			ctx := t.Context()
			given, err := nodes[0].GiveConsent(ctx, consent.Consent{UserID: "ada", ClientID: "web", APIID: "api"}, revoke.Effects{})
			if !given || err != nil {
				t.Fatal(given, err)
			}
			between(t, nodes, func(s *sqlstore.Store, i int) (bool, error) {
				if i == racers/2 {
					return s.WithdrawConsent(ctx, "ada", "web", func(ids []string) (fx revoke.Effects) {
						for _, id := range ids {
							fx.Revoke = append(fx.Revoke, revoke.Entry{Kind: revoke.Grant, Key: id})
						}
						fx.Audit = []audit.Event{{Action: "withdraw"}}
						return fx
					})
				}
				one := code(fmt.Sprint("c", i))
				one.Details.Consented = consented
				return s.AddGrant(ctx, one, revoke.Effects{Audit: []audit.Event{{Action: "add", Target: one.ID}}})
			})
			events, err := nodes[1].Events(ctx, 0, 10*racers)
			check(t, err)
			after := false
			for _, e := range events {
				if e.Action == "withdraw" {
					after = true
					continue
				}
				st, err := nodes[1].Snapshot(ctx, grant.Query{GrantID: e.Target})
				check(t, err)
				if st.Grant != nil != after || after && consented {
					t.Errorf("%s: there %v, added after the withdrawal %v", e.Target, st.Grant != nil, after)
				}
			}
			if !consented && len(events) != racers {
				t.Errorf("%d events, want %d", len(events), racers)
			}
		})
	}
}

func TestClientChangedOnAnotherNodeIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	process.Server(t)
	nodes := twoNodes(t)
	ctx := t.Context()
	check(t, nodes[0].AddClient(ctx, client.Client{ID: "web", Kind: client.Public}, revoke.Effects{}))
	for version := int64(1); version < 20; version++ {
		writer, reader := nodes[version%2], nodes[(version+1)%2]
		for range 3 { // from the third on from memory
			st, err := reader.Snapshot(ctx, grant.Query{ClientID: "web"})
			check(t, err)
			if st.Client.Version != version {
				t.Fatalf("got version %d, want %d", st.Client.Version, version)
			}
		}
		if known := reader.NewestKnown(); known != 1 {
			t.Fatalf("%d clients are known, want 1: the test tests nothing", known)
		}
		ok, err := writer.ChangeClient(ctx, client.Client{ID: "web", Kind: client.Public, Version: version}, revoke.Effects{})
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
}

func TestManyNodesStartAtOnce(t *testing.T) {
	t.Parallel()
	url, _ := process.Database(t)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			s, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: url})
			if err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			h, err := sqlstore.OpenSessions(t.Context(), sqlstore.Config{URL: url})
			if err != nil {
				t.Errorf("home of node %d: %v", i, err)
			} else if err := h.Close(); err != nil {
				t.Error(err)
			}
			if _, err := s.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.Token, Key: fmt.Sprint(i)}}}); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	head, err := node(t, url).Head(t.Context())
	check(t, err)
	if head != 6 {
		t.Errorf("head is %d, want 6", head)
	}
}
