package verify

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var testNow = time.Unix(1_900_000_000, 0)

func entry(subject string, n int, lives time.Duration) *held {
	return &held{
		credential: fmt.Sprintf("%s/%d", subject, n), id: Identity{Kind: Token, Subject: subject}, until: testNow.Add(lives).UnixNano(),
	}
}

// Who gives up a place of a full set. Subjects are letters, and the later in a set
// the longer they live.
func TestVictimOfAFullSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		set, newcomer string
		want          int
	}{
		{"ABCD", "E", 0}, // all have one: the one that ends first
		{"ABCD", "C", 2}, // its own
		{"SSAB", "C", 0}, // what S has more than others
		{"ASBS", "C", 1},
		{"ABCS", "S", 3}, // S again, and again
		{"SSAB", "S", 0},
		{"SSSS", "A", 0},
		{"ASSS", "S", 1},
		{"SSSA", "A", 0}, // three are more than two
		{"SSAB", "A", 2}, // two are not more than two: the newcomer
		{"AASS", "B", 0}, // equals: the one that ends first
	} {
		var set [ways]*held
		for i, s := range c.set {
			set[i] = entry(string(s), i, time.Duration(i+1)*time.Minute)
		}
		if got := victim(&set, entry(c.newcomer, 9, time.Hour)); got != c.want {
			t.Errorf("%s and %s: %d gives way, want %d", c.set, c.newcomer, got, c.want)
		}
	}
}

func TestPlaceOfACredential(t *testing.T) {
	t.Parallel()
	now := testNow.UnixNano()
	set := [ways]*held{entry("A", 1, time.Hour), entry("B", 1, 0), entry("C", 1, time.Hour), nil}
	for name, c := range map[string]struct {
		h    *held
		want []int
	}{
		"itself, though there is room": {entry("C", 1, time.Hour), []int{2}},
		"where there is room":          {entry("A", 2, time.Hour), []int{1, 3}},
	} {
		if got := place(&set, c.h, now); !slices.Contains(c.want, got) {
			t.Errorf("%s: %d, want one of %d", name, got, c.want)
		}
	}
	cookie := entry("C", 1, time.Hour)
	cookie.id.Kind = Session
	if got := place(&set, cookie, now); got == 2 {
		t.Error("a credential of another kind takes its place")
	}
}

// One subject shows any number of good tokens, which live longest: of each set that
// the others have not filled it takes nothing of theirs, and of a full one a place.
func TestOneSubjectTakesAPlaceOfEachSetAtMost(t *testing.T) {
	t.Parallel()
	for _, others := range []int{0, 100, 256, 1000, 4000} { // of 1,024 places
		c := newCache(1024)
		count := func(set *[ways]*held) (theirs, his int) {
			for _, h := range set {
				switch {
				case h == nil:
				case h.id.Subject == "S":
					his++
				default:
					theirs++
				}
			}
			return theirs, his
		}
		look := func(i int) (set [ways]*held) {
			for j := range set {
				set[j] = c.sets[i][j].Load()
			}
			return set
		}
		for i := range others {
			remember(c, entry(fmt.Sprint("u", i), 0, time.Minute))
		}
		before := make([][ways]*held, len(c.sets))
		for i := range before {
			before[i] = look(i)
		}
		for i := range 50_000 {
			remember(c, entry("S", i, time.Hour))
		}
		for i := range before {
			had, _ := count(&before[i])
			after := look(i)
			have, his := count(&after)
			if have != min(had, ways-1) || his != ways-have {
				t.Fatalf("%d others: a set had %d of them, and has %d and %d of S", others, had, have, his)
			}
		}
		// Who comes after finds the places that S has taken beyond its share.
		for i := range 4000 {
			h := entry(fmt.Sprint("v", i), 0, time.Second)
			at := int(c.hash(h.credential) & c.mask)
			set := look(at)
			theirs, his := count(&set)
			remember(c, h)
			set = look(at)
			if now, _ := count(&set); his > 1 && now != theirs+1 {
				t.Fatalf("%d others: a newcomer took the place of another though S had %d", others, his)
			}
			if c.find(c.hash(h.credential), h.credential, Token) != h {
				t.Fatalf("%d others: a newcomer is not remembered", others)
			}
		}
	}
}

func remember(c *cache, h *held) { c.keep(c.hash(h.credential), h, testNow) }
