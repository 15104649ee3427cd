package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func effectCases() []testCase {
	all := []testCase{{"EffectsEndWhatTheKindSays", cascades}}
	for _, v := range verbs() {
		all = append(all,
			testCase{"EffectsComeWith" + v.name, v.withEffects},
			testCase{"GuardStops" + v.name, v.withGuard})
	}
	return all
}

func cascades(t *testing.T, s store.Store) {
	ended := map[revoke.Ref][]string{
		{Kind: revoke.Token, Key: "t1"}:       {"t1"},
		{Kind: revoke.Token, Key: "t5"}:       {"t5"},
		{Kind: revoke.Grant, Key: "g1"}:       {"g1", "t1"},
		{Kind: revoke.Session, Key: "s1"}:     {"g1", "g2", "s1", "t1", "t2"},
		{Kind: revoke.Session, Key: "s2"}:     {"g3", "s2", "t3", "t6"},
		{Kind: revoke.User, Key: "ada"}:       {"g1", "g2", "g3", "s1", "s2", "t1", "t2", "t3", "t6"},
		{Kind: revoke.User, Key: "bob"}:       {"g4", "s3", "t4"},
		{Kind: revoke.Client, Key: "web"}:     {"g1", "g2", "s1", "t1", "t2", "t6"},
		{Kind: revoke.Client, Key: "app"}:     {"g2", "g3", "g4", "s3", "t2", "t3", "t4", "t5"},
		{Kind: revoke.API, Key: "orders"}:     {"g1", "g3", "t1", "t3", "t5", "t6"},
		{Kind: revoke.API, Key: "vault"}:      {"g2", "g4", "t2", "t4"},
		{Kind: revoke.Key, Key: "k1"}:         {},
		{Kind: revoke.Claims, Key: "ada"}:     {},
		{Kind: revoke.Session, Key: "nobody"}: {},
		{Kind: revoke.User, Key: "s1"}:        {}, // the key of another kind
		{Kind: revoke.Client, Key: ""}:        {}, // sessions of no client are nobody's
		{Kind: revoke.Session, Key: ""}:       {},
		{Kind: revoke.Grant, Key: ""}:         {},
	}
	newWorld(t, s)
	seq := int64(0)
	for ref, want := range ended {
		emptyWorld(t, s)
		w := newWorld(t, s)
		before, err := s.Head(t.Context())
		must(t, err)
		seq, err = s.Record(t.Context(), takes(ref.Kind, ref.Key))
		must(t, err)
		same(t, "position", seq, before+1)
		same(t, "gone with "+string(ref.Kind)+" "+ref.Key, w.gone(t), want)
	}
}

// emptyWorld takes a world away, so that the next can be made in the same store.
func emptyWorld(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	for _, id := range []string{"ada", "bob"} {
		ok, err := s.RemoveUser(ctx, id, 1, takes(revoke.User, id))
		did(t, "RemoveUser", ok, err)
	}
	for _, id := range []string{"app", "web"} {
		ok, err := s.RemoveClient(ctx, id, 1, takes(revoke.Client, id))
		did(t, "RemoveClient", ok, err)
	}
	for _, id := range []string{"orders", "vault"} {
		ok, err := s.RemoveAPI(ctx, id, 1, takes(revoke.API, id))
		did(t, "RemoveAPI", ok, err)
	}
	ok, err := s.RemoveRole(ctx, "clerk", 1, entry(revoke.Claims, ""), none)
	did(t, "RemoveRole", ok, err)
	settle(t, s)
}

// A verb is a change that takes effects. do makes it on a world in which
// prepare was done; it can be made once.
type verb struct {
	name    string
	prepare func(context.Context, *world) (bool, error)
	do      func(context.Context, *world, revoke.Effects) (bool, error)
	free    bool // cannot be refused by its own condition
}

func verbs() []verb {
	return append(registerVerbs(), otherVerbs()...)
}

func registerVerbs() []verb {
	var all []verb
	all = append(all, registerVerbsOf("User", userRegister)...)
	all = append(all, registerVerbsOf("Client", clientRegister)...)
	all = append(all, registerVerbsOf("API", apiRegister)...)
	return append(all, registerVerbsOf("Role", roleRegister)...)
}

func registerVerbsOf[T any](name string, open func(store.Store) register[T]) []verb {
	add := func(ctx context.Context, w *world, fx revoke.Effects) (bool, error) {
		r := open(w.Store)
		err := r.add(ctx, r.make("new"), fx)
		return err == nil, err
	}
	prepare := func(ctx context.Context, w *world) (bool, error) { return add(ctx, w, none) }
	return []verb{
		{name: "Add" + name, do: add},
		{name: "Change" + name, prepare: prepare, do: func(ctx context.Context, w *world, fx revoke.Effects) (bool, error) {
			r := open(w.Store)
			return r.change(ctx, r.make("new"), fx)
		}},
		{name: "Remove" + name, prepare: prepare, do: func(ctx context.Context, w *world, fx revoke.Effects) (bool, error) {
			return open(w.Store).remove(ctx, "new", 1, fx)
		}},
	}
}

func otherVerbs() []verb {
	type fx = revoke.Effects
	return []verb{
		{name: "RedeemBootstrap", prepare: func(ctx context.Context, w *world) (bool, error) {
			return w.OfferBootstrap(ctx, opaque.Hash("boot"), at(time.Hour))
		}, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.RedeemBootstrap(ctx, opaque.Hash("boot"), at(0), newAdmin("new"), e)
		}},
		{name: "StartSession", do: func(ctx context.Context, w *world, e fx) (bool, error) {
			err := w.StartSession(ctx, newSession("new", "ada", "web"), e)
			return err == nil, err
		}},
		{name: "RenewSession", do: func(ctx context.Context, w *world, e fx) (bool, error) {
			next := w.sessions["s1"]
			next.Secret = opaque.Hash("next")
			return w.RenewSession(ctx, w.sessions["s1"].Secret, next, e)
		}},
		{name: "AddGrant", do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.AddGrant(ctx, newGrant("new", w.sessions["s1"], "web", "orders"), e)
		}},
		{name: "ChangeGrant", free: true, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			err := w.ChangeGrant(ctx, "g1", func(st grant.State) grant.Change {
				next := *st.Grant
				next.Gen++
				return grant.Change{Next: &next, Effects: e}
			})
			return err == nil, err
		}},
		{name: "ChangeKeys", do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.ChangeKeys(ctx, []keyring.Record{newKey("new", "orders", keyring.Active)}, nil, e)
		}},
		{name: "MarkRead", prepare: func(ctx context.Context, w *world) (bool, error) {
			return w.ChangeKeys(ctx, []keyring.Record{newKey("new", "orders", keyring.Active)}, nil, none)
		}, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.MarkRead(ctx, "new", at(0), e)
		}},
		{name: "AddTicket", do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.AddTicket(ctx, newTicket("new"), e)
		}},
		{name: "ChangeTicket", prepare: func(ctx context.Context, w *world) (bool, error) {
			return w.AddTicket(ctx, newTicket("new"), none)
		}, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.ChangeTicket(ctx, newTicket("new"), e)
		}},
		{name: "GiveConsent", free: true, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.GiveConsent(ctx, newConsent("bob", "web", "orders", "read"), e)
		}},
		{name: "WithdrawConsent", prepare: func(ctx context.Context, w *world) (bool, error) {
			return w.GiveConsent(ctx, newConsent("bob", "web", "orders", "read"), none)
		}, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			return w.WithdrawConsent(ctx, "bob", "web", func([]string) fx { return e })
		}},
		{name: "Record", free: true, do: func(ctx context.Context, w *world, e fx) (bool, error) {
			_, err := w.Record(ctx, e)
			return err == nil, err
		}},
	}
}

func (v verb) world(t *testing.T, s store.Store) *world {
	t.Helper()
	w := newWorld(t, s)
	if v.prepare != nil {
		ok, err := v.prepare(t.Context(), w)
		did(t, "prepare", ok, err)
	}
	return w
}

// withEffects: effects are written with the change, or not at all (I2).
func (v verb) withEffects(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := v.world(t, s)
	fx := takes(revoke.Session, "s3")
	fx.Audit = []audit.Event{event("one"), event("two")}
	ok, err := v.do(ctx, w, fx)
	did(t, v.name, ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{1, 2})
	same(t, "gone", w.gone(t), []string{"g4", "s3", "t4"})
	if v.free {
		return
	}
	fx = takes(revoke.Session, "s2")
	fx.Audit = []audit.Event{event("three")}
	ok, err = v.do(ctx, w, fx)
	refused(t, v.name+" again", ok, err)
	same(t, "logs after a refusal", ledgerOf(t, s), ledger{1, 2})
	same(t, "gone after a refusal", w.gone(t), []string{"g4", "s3", "t4"})
}

// withGuard: nothing is changed on the strength of a state that was taken back.
func (v verb) withGuard(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := v.world(t, s)
	for _, e := range []revoke.Entry{entry(revoke.Claims, "eve"), entry(revoke.User, "eve")} { // positions 1 and 2
		_, err := s.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{e}})
		must(t, err)
	}
	before, err := s.Snapshot(ctx, grant.Query{GrantID: "g1"})
	must(t, err)
	fx := takes(revoke.Session, "s3")
	fx.Audit = []audit.Event{event("one")}
	fx.Guard = &revoke.Guard{RSN: 1, Refs: []revoke.Ref{{Kind: revoke.User, Key: "bob"}, {Kind: revoke.User, Key: "eve"}}}
	ok, err := v.do(ctx, w, fx)
	refused(t, v.name+" against a newer entry", ok, err)
	same(t, "logs after a refusal", ledgerOf(t, s), ledger{2, 0})
	same(t, "gone after a refusal", w.gone(t), []string{})
	after, err := s.Snapshot(ctx, grant.Query{GrantID: "g1"})
	must(t, err)
	same(t, "state after a refusal", after, before)

	fx.Guard = &revoke.Guard{RSN: 2, Refs: []revoke.Ref{{Kind: revoke.User, Key: "eve"}, {Kind: revoke.Session, Key: "s3"}}}
	ok, err = v.do(ctx, w, fx)
	did(t, v.name+" with no newer entry", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{3, 1})
}
