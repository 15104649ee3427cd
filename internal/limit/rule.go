package limit

import (
	"context"
	"fmt"
	"time"
)

// Rule says how one counter delays. Key names the counter.
type Rule struct {
	Key       string
	Free      int           // attempts without a wait
	Base, Max time.Duration // the first wait, and the longest
	Forget    time.Duration // quiet time after which the counter starts anew; more than Max
}

// Counter is what is stored of one key. No counter is the same as a zero one.
type Counter struct {
	Key      string
	Failures int       // attempts that were not refunded
	Last     time.Time // of the last counted attempt
	Until    time.Time // attempts before this have to wait
}

// Validate reports a rule that would not slow anybody down, or would lock out.
func (r Rule) Validate() error {
	switch {
	case r.Key == "":
		return fmt.Errorf("limit rule has no key")
	case r.Free < 0:
		return fmt.Errorf("limit rule %q has %d free attempts", r.Key, r.Free)
	case r.Base <= 0 || r.Max < r.Base:
		return fmt.Errorf("limit rule %q waits from %v to %v", r.Key, r.Base, r.Max)
	case r.Forget <= r.Max:
		return fmt.Errorf("limit rule %q forgets after %v, within its longest wait of %v", r.Key, r.Forget, r.Max)
	}
	return nil
}

// Next takes one attempt. With a wait the attempt is refused and the counter is as
// it was. Without one the attempt may go on, and the returned counter, in which it
// is counted already, must be stored before it does.
func (r Rule) Next(c Counter, now time.Time) (Counter, time.Duration) {
	wait := c.Until.Sub(now)
	// No wait is longer than Max. One that is was stored while the clock was
	// wrong, and would lock out until the clock gets there.
	if wait > 0 && wait <= r.Max {
		return c, wait
	}
	if now.Sub(c.Last) >= r.Forget {
		c = Counter{}
	}
	c.Key, c.Last, c.Until = r.Key, now, time.Time{}
	c.Failures++
	if past := c.Failures - r.Free; past > 0 {
		c.Until = now.Add(r.wait(past))
	}
	return c, 0
}

// wait is what the nth attempt past the free ones costs.
func (r Rule) wait(n int) time.Duration {
	d := r.Base
	for ; n > 1 && d < r.Max; n-- {
		d *= 2 // r.Max is far from the largest duration, so this cannot overflow
	}
	return min(d, r.Max)
}

// Decide takes one attempt under several rules at once: with any wait, the longest
// is returned and nothing is to be stored. Without one, all of the returned
// counters are. It is the whole of Store.Attempt but for reading and writing; find
// returns the stored counter of a key, or a zero one.
func Decide(rules []Rule, find func(key string) Counter, now time.Time) ([]Counter, time.Duration) {
	next := make([]Counter, 0, len(rules))
	var longest time.Duration
	for _, r := range rules {
		c, wait := r.Next(find(r.Key), now)
		longest = max(longest, wait)
		next = append(next, c)
	}
	if longest > 0 {
		return nil, longest
	}
	return next, 0
}

// TakeBack undoes one counted attempt. It halves what is left of the wait, which is
// what one attempt fewer would have cost. Nothing is left of a counter when keep is
// false: it is to be deleted.
func TakeBack(c Counter) (_ Counter, keep bool) {
	c.Failures--
	if c.Failures <= 0 {
		return Counter{}, false
	}
	if c.Until.After(c.Last) {
		c.Until = c.Last.Add(c.Until.Sub(c.Last) / 2)
	}
	return c, true
}

// Store keeps counters. They belong into the durable store: an attacker who can
// cause a restart must not get new attempts by it.
type Store interface {
	// Attempt does what Decide says, as one step: of parallel attempts on one key
	// each sees the ones before it. Two rules of one call have different keys.
	Attempt(ctx context.Context, rules []Rule, now time.Time) (wait time.Duration, err error)
	// Refund deletes the counters named in success and applies TakeBack to those
	// named in keep, as one step. Keys without a counter are no error.
	Refund(ctx context.Context, success, keep []string) error
	// PurgeCounters deletes the counters whose Last and Until are both before the
	// given time, and returns how many those were.
	PurgeCounters(ctx context.Context, before time.Time) (int, error)
}
