package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func setupCases() []testCase {
	return []testCase{
		{"PutOnceKeepsTheFirst", putOnce},
		{"RaceToPutOnceHasOneWinner", raceToPutOnce},
		{"ChangeSettingOnlyFromWhatIsThere", changeSetting},
		{"RaceToChangeASettingHasOneWinner", raceToChangeSetting},
		{"BootstrapIsRedeemedOnce", bootstrapOnce},
		{"BootstrapNeedsTheTokenInTime", bootstrapNeeds},
		{"BootstrapNeedsThatNobodyIsAdministrator", bootstrapAdmin},
		{"BootstrapWithATakenLoginUsesNothingUp", bootstrapTaken},
		{"RaceToRedeemBootstrapHasOneWinner", raceToRedeem},
	}
}

func putOnce(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, step := range []struct{ name, value, want string }{
		{"installation", "a", "a"}, {"installation", "b", "a"}, {"other", "b", "b"}, {"installation", "", "a"},
	} {
		got, err := s.PutOnce(ctx, step.name, step.value)
		must(t, err)
		same(t, "put "+step.name, got, step.want)
	}
}

func raceToPutOnce(t *testing.T, s store.Store) {
	var first atomic.Value
	won := race(t, func(i int) (bool, error) {
		mine := fmt.Sprint(i)
		got, err := s.PutOnce(t.Context(), "installation", mine)
		if err == nil && !first.CompareAndSwap(nil, got) && first.Load() != got {
			return false, fmt.Errorf("two values: %v and %v", first.Load(), got)
		}
		return got == mine, err
	})
	same(t, "winners", won, 1)
}

func newAdmin(id string) account.User {
	u := newUser(id)
	u.Roles = []string{account.AdminRole}
	return u
}

func bootstrapOnce(t *testing.T, s store.Store) {
	ctx := t.Context()
	first, second := opaque.Hash("first"), opaque.Hash("second")
	ok, err := s.OfferBootstrap(ctx, first, at(time.Hour))
	did(t, "offer", ok, err)
	ok, err = s.OfferBootstrap(ctx, second, at(time.Hour))
	did(t, "offer that replaces an unused one", ok, err)
	ok, err = s.RedeemBootstrap(ctx, first, at(0), newAdmin("eve"), none)
	refused(t, "redeem of a replaced offer", ok, err)
	ok, err = s.RedeemBootstrap(ctx, second, at(0), newAdmin("ada"), revoke.Effects{Audit: []audit.Event{event("bootstrap")}})
	did(t, "redeem", ok, err)
	same(t, "logs", ledgerOf(t, s), ledger{0, 1})
	got, _, err := s.UserByLogin(ctx, "ada@example.com")
	must(t, err)
	same(t, "administrator", got, newAdmin("ada"))
	ok, err = s.RedeemBootstrap(ctx, second, at(0), newAdmin("eve"), none)
	refused(t, "redeem again", ok, err)

	ok, err = s.RemoveUser(ctx, "ada", 1, none)
	did(t, "remove the administrator", ok, err)
	ok, err = s.RedeemBootstrap(ctx, second, at(0), newAdmin("eve"), none)
	refused(t, "redeem again when the administrator is gone", ok, err)
	ok, err = s.OfferBootstrap(ctx, first, at(time.Hour))
	refused(t, "offer after one was redeemed", ok, err)
}

func bootstrapNeeds(t *testing.T, s store.Store) {
	ctx := t.Context()
	ok, err := s.RedeemBootstrap(ctx, opaque.Digest{}, at(0), newAdmin("eve"), none)
	refused(t, "redeem with nothing on offer", ok, err)
	ok, err = s.OfferBootstrap(ctx, opaque.Hash("first"), at(time.Hour))
	did(t, "offer", ok, err)
	ok, err = s.RedeemBootstrap(ctx, opaque.Hash("guess"), at(0), newAdmin("eve"), none)
	refused(t, "redeem of a guess", ok, err)
	ok, err = s.RedeemBootstrap(ctx, opaque.Hash("first"), at(time.Hour), newAdmin("eve"), none)
	refused(t, "redeem at the limit", ok, err)
	_, found, err := s.UserByID(ctx, "eve")
	must(t, err)
	same(t, "eve is there", found, false)
	ok, err = s.RedeemBootstrap(ctx, opaque.Hash("first"), at(time.Hour-time.Microsecond), newAdmin("ada"), none)
	did(t, "redeem just in time", ok, err)
}

func bootstrapAdmin(t *testing.T, s store.Store) {
	ctx := t.Context()
	ok, err := s.OfferBootstrap(ctx, opaque.Hash("first"), at(time.Hour))
	did(t, "offer", ok, err)
	must(t, s.AddUser(ctx, newAdmin("ada"), none))
	ok, err = s.RedeemBootstrap(ctx, opaque.Hash("first"), at(0), newAdmin("eve"), none)
	refused(t, "redeem beside an administrator", ok, err)
	ok, err = s.OfferBootstrap(ctx, opaque.Hash("second"), at(time.Hour))
	refused(t, "offer beside an administrator", ok, err)
	ada := newUser("ada") // no longer one
	ok, err = s.ChangeUser(ctx, ada, none)
	did(t, "change", ok, err)
	ok, err = s.OfferBootstrap(ctx, opaque.Hash("second"), at(time.Hour))
	did(t, "offer when nobody is", ok, err)
}

func bootstrapTaken(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, newUser("ada"), none))
	ok, err := s.OfferBootstrap(ctx, opaque.Hash("first"), at(time.Hour))
	did(t, "offer", ok, err)
	taken := newAdmin("other")
	taken.Canonical = "ada@example.com"
	_, err = s.RedeemBootstrap(ctx, opaque.Hash("first"), at(0), taken, none)
	conflict(t, "redeem for a taken login", err)
	ok, err = s.RedeemBootstrap(ctx, opaque.Hash("first"), at(0), newAdmin("bob"), none)
	did(t, "redeem for a free one", ok, err)
}

func raceToRedeem(t *testing.T, s store.Store) {
	ok, err := s.OfferBootstrap(t.Context(), opaque.Hash("first"), at(time.Hour))
	did(t, "offer", ok, err)
	won := race(t, func(i int) (bool, error) {
		return s.RedeemBootstrap(t.Context(), opaque.Hash("first"), at(0), newAdmin(fmt.Sprintf("usr_%d", i)), none)
	})
	same(t, "winners", won, 1)
	all, err := s.Users(t.Context(), "", 100)
	must(t, err)
	same(t, "users", len(all), 1)
}

func changeSetting(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, step := range []struct {
		old, next string
		want      bool
		there     string
	}{
		{"a", "b", false, ""}, {"", "", true, ""}, {"", "a", true, "a"}, {"", "b", false, "a"}, {"", "", false, "a"}, {"b", "c", false, "a"},
		{"a", "b", true, "b"}, {"a", "", false, "b"}, {"b", "", true, ""}, {"", "c", true, "c"},
	} {
		ok, err := s.ChangeSetting(ctx, "layout", step.old, step.next)
		must(t, err)
		same(t, "changed "+step.old+" to "+step.next, ok, step.want)
		got, err := s.Setting(ctx, "layout")
		must(t, err)
		same(t, "setting", got, step.there)
	}
	got, err := s.PutOnce(ctx, "layout", "d")
	must(t, err)
	same(t, "put once over a setting", got, "c")
	got, err = s.Setting(ctx, "another")
	must(t, err)
	same(t, "another setting", got, "")
}

func raceToChangeSetting(t *testing.T, s store.Store) {
	for _, old := range []string{"", "first"} {
		won := race(t, func(i int) (bool, error) {
			return s.ChangeSetting(t.Context(), "layout", old, "first"+strings.Repeat("x", (i+1)*len(old)/5))
		})
		same(t, "winners", won, 1)
	}
}
