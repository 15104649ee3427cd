package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
)

// each runs a test on every store that can be a truth.
func each(t *testing.T, run func(t *testing.T, s store.Truth)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) store.Truth{
		"memory": func(*testing.T) store.Truth { return memory.New() },
		"SQLite": func(t *testing.T) store.Truth { return open(t, filepath.Join(t.TempDir(), "wafer.db")) },
		"PostgreSQL": func(t *testing.T) store.Truth {
			url, _ := process.Database(t)
			return node(t, url)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open(t))
		})
	}
}

func TestStandingIsOfOneMoment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s store.Truth) {
		ctx := t.Context()
		refs := session.Record{Session: login("s1", "ada")}.Refs()
		var many []revoke.Ref
		for i := range 40 {
			many = append(many, revoke.Ref{Kind: revoke.Session, Key: fmt.Sprint("other", i)})
		}
		many = append(many, refs...)
		want := func(rsn int64, refs []revoke.Ref, head int64, covered bool) {
			t.Helper()
			gotHead, got, err := s.Standing(ctx, rsn, refs)
			check(t, err)
			if gotHead != head || got != covered {
				t.Errorf("standing of %d refs since %d: got %d %v, want %d %v", len(refs), rsn, gotHead, got, head, covered)
			}
		}
		want(0, refs, 0, false)
		_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.User, Key: "bob"}, {Kind: revoke.User, Key: "ada"}}})
		check(t, err)
		want(0, refs, 2, true)
		want(1, refs, 2, true)
		want(2, refs, 2, false)
		want(0, many, 2, true)
		want(2, many, 2, false)
		want(0, nil, 2, false)
		want(0, refs[:1], 2, false)
	})
}

// leftOf is which of two grants and two tokens are there.
func leftOf(t *testing.T, s store.Truth) (all string) {
	t.Helper()
	for _, id := range []string{"g1", "g2"} {
		st, err := s.Snapshot(t.Context(), grant.Query{GrantID: id})
		check(t, err)
		all += fmt.Sprint(st.Grant != nil, " ")
	}
	for _, id := range []string{"t1", "t2"} {
		_, found, err := s.TokenByDigest(t.Context(), opaque.Hash(id))
		check(t, err)
		all += fmt.Sprint(found, " ")
	}
	return all
}

func TestWhatHangsFromSessionsElsewhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s store.Truth) {
		ctx := t.Context()
		check(t, s.AddUser(ctx, user("ada"), revoke.Effects{}))
		check(t, s.AddClient(ctx, client.Client{ID: "web", Kind: client.Public}, revoke.Effects{}))
		one := login("far1", "ada")
		also := func(rsn int64, id string) revoke.Guard {
			return revoke.Guard{RSN: rsn, Refs: session.Record{Session: login(id, "ada")}.Refs()}
		}
		hanging := func(id, sid string) grant.Grant {
			return grant.Grant{ID: id, SessionID: sid, UserID: "ada", ClientID: "web", Scopes: []string{"read"}, Gen: 1}
		}
		token := func(id, sid string) grant.AccessToken {
			return grant.AccessToken{Digest: opaque.Hash(id), ID: id, SessionID: sid, UserID: "ada", ClientID: "web"}
		}
		did := func(want bool) func(bool, error) {
			return func(got bool, err error) {
				t.Helper()
				check(t, err)
				if got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			}
		}
		did(false)(s.AddGrant(ctx, hanging("g1", "far1"), revoke.Effects{})) // no such session here
		did(true)(s.AddGrantApart(ctx, hanging("g1", "far1"), revoke.Effects{}, also(0, "far1")))
		did(true)(s.AddGrantApart(ctx, hanging("g2", "far\x002"), revoke.Effects{}, also(0, "far\x002")))
		did(true)(s.AddTokenApart(ctx, token("t1", "far1"), also(0, "far1")))
		did(true)(s.AddTokenApart(ctx, token("t2", "far\x002"), also(0, "far\x002")))
		unknown := hanging("g3", "far1")
		unknown.ClientID = "nobody"
		did(false)(s.AddGrantApart(ctx, unknown, revoke.Effects{}, also(0, "far1")))
		if _, err := s.AddGrantApart(ctx, hanging("g1", "far1"), revoke.Effects{}, also(0, "far1")); !fault.Is(err, fault.Conflict) {
			t.Errorf("taken id: got %v, want a conflict", err)
		}
		seen := ""
		check(t, s.ChangeGrantApart(ctx, "g1", &one, also(0, "far1"), func(st grant.State) grant.Change {
			seen = st.Session.ID + st.User.ID + st.Client.ID
			next := *st.Grant
			next.Gen = 2
			return grant.Change{Next: &next}
		}))
		if seen != "far1adaweb" {
			t.Errorf("decided on %q", seen)
		}

		check(t, s.ForgetSessions(ctx, []string{"far\x002", "", "nobody"}))
		if got, want := leftOf(t, s), "true false true false "; got != want {
			t.Errorf("after far2 is forgotten: %s, want %s", got, want)
		}
		_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.User, Key: "ada"}}})
		check(t, err)
		if got, want := leftOf(t, s), "false false false false "; got != want {
			t.Errorf("after the user's end: %s, want %s", got, want)
		}
		did(false)(s.AddGrantApart(ctx, hanging("g1", "far1"), revoke.Effects{}, also(0, "far1")))
		did(false)(s.AddTokenApart(ctx, token("t1", "far1"), also(0, "far1")))
		err = s.ChangeGrantApart(ctx, "g1", &one, also(0, "far1"), func(grant.State) grant.Change {
			t.Error("decided for a session that has ended")
			return grant.Change{}
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		did(true)(s.AddGrantApart(ctx, hanging("g1", "far1"), revoke.Effects{}, also(1, "far1")))
	})
}

func TestSessionOfBeforeAnEntryDoesNotComeHome(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s store.Truth) {
		ctx := t.Context()
		h := s.Sessions()
		check(t, h.Add(ctx, session.Record{Session: login("s1", "ada")}))
		_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{{Kind: revoke.User, Key: "ada"}}})
		check(t, err)
		if err := h.Add(ctx, session.Record{Session: login("s2", "ada")}); !fault.Is(err, fault.Conflict) {
			t.Errorf("record of before the user's end: got %v, want a conflict", err)
		}
		check(t, h.Add(ctx, session.Record{Session: login("s2", "ada"), RSN: 1}))
		r, found, err := h.ByID(ctx, "s2")
		check(t, err)
		if !found || r.RSN != 1 {
			t.Errorf("got %v at %d, want it at 1", found, r.RSN)
		}
	})
}
