package statuslist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/statuslist"
)

func TestNamesThatWeDidNotGiveAreNotLookedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.assign(holder("ada", "s1"))
	id := strings.TrimPrefix(r.URI, issuer+"/status-lists/")
	h.refresh()
	if err := h.store.Close(); err != nil { // whoever looks now fails
		t.Fatal(err)
	}
	for _, made := range []string{"", "x", strings.Repeat("A", 24), id[:23], id + "A", strings.ToLower(id)} {
		if _, found, err := h.Published(t.Context(), made); found || err != nil {
			t.Errorf("%q: found=%v, %v", made, found, err)
		}
	}
	h.want("ours", r, 0)
}

// Neighbors and volume: an index says nothing of when it was given, and bits that
// are set need not be anybody's.
func TestListsTellNothingOfNeighborsAndVolume(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var last, near int
	for i := range 200 {
		r := h.assign(holder("ada", fmt.Sprint("s", i)))
		if distance := r.Index - last; i > 0 && distance > -1000 && distance < 1000 {
			near++
		}
		last = r.Index
	}
	if near > 5 { // one in 500 by chance
		t.Errorf("%d of 200 stand next to the one before", near)
	}
	r := h.assign(holder("bob", "b"))
	_, b := h.fetch(h.Service, r.URI)
	status, length := decode(t, b.List.List)
	early := len(ones(status, length))
	if early < 64 {
		t.Errorf("%d decoys at first", early)
	}
	h.clock.forward(39 * time.Minute)
	h.refresh()
	_, b = h.fetch(h.Service, r.URI)
	status, length = decode(t, b.List.List)
	if late := len(ones(status, length)); late < early+32 {
		t.Errorf("%d decoys at first, %d at the end", early, late)
	}
}

func TestDecoysAreNobodys(t *testing.T) {
	t.Parallel()
	k := keyOf(t)
	l := statuslist.List{ID: "one", Opened: time.Unix(1000, 0), Ends: time.Unix(5000, 0)}
	times := statuslist.DecoyTimes(k, l)
	for _, at := range times {
		if at.Before(l.Opened) || at.After(l.Ends) {
			t.Errorf("decoy at %v", at)
		}
	}
	if n := len(times); n < 128 || n > statuslist.Size-statuslist.Capacity {
		t.Errorf("%d decoys, and %d numbers for them", n, statuslist.Size-statuslist.Capacity)
	}
}

func TestOrderIsAPermutation(t *testing.T) {
	t.Parallel()
	index, number := statuslist.Order(keyOf(t), "one")
	other, _ := statuslist.Order(keyOf(t), "two")
	seen := make([]bool, statuslist.Size)
	same := 0
	for n := range statuslist.Size {
		i := index(n)
		if i < 0 || i >= statuslist.Size || seen[i] || number(i) != n {
			t.Fatalf("number %d: index %d, and back %d", n, i, number(i))
		}
		seen[i] = true
		if other(n) == i {
			same++
		}
	}
	if same > 20 { // one by chance
		t.Errorf("two lists agree on %d places", same)
	}
}
