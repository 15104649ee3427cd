package jwks

import (
	"container/list"
	"time"
)

const (
	bucketBurst  = 5
	bucketWhole  = bucketBurst + 1 // the last one is for what the issuer announces
	bucketRefill = 10 * time.Second
	missingFor   = 30 * time.Second
	maxMissing   = 1000
)

// bucket says how often others may make us fetch: strangers, and who announces
// another key set. The zero value is full.
type bucket struct {
	spent int
	since time.Time // when the refilling of the first spent token began
}

// take spends a token unless as many as most are spent already. What comes back
// fills first the one that strangers cannot have.
func (b *bucket) take(now time.Time, most int) bool {
	if b.spent == 0 || now.Before(b.since) {
		b.since = now
	}
	back := int(min(now.Sub(b.since)/bucketRefill, bucketWhole))
	b.since = b.since.Add(time.Duration(back) * bucketRefill)
	b.spent = max(b.spent-back, 0)
	if b.spent == 0 {
		b.since = now
	}
	if b.spent >= most {
		return false
	}
	b.spent++
	return true
}

// negatives remembers the key ids that were looked for in vain, the latest thousand.
type negatives struct {
	order list.List // of negative, latest first
	byID  map[string]*list.Element
}

type negative struct {
	kid   string
	until time.Time
}

func (n *negatives) has(kid string, now time.Time) bool {
	e, ok := n.byID[kid]
	if !ok {
		return false
	}
	if !now.Before(e.Value.(negative).until) {
		n.drop(e)
		return false
	}
	return true
}

func (n *negatives) add(kid string, now time.Time) {
	if e, ok := n.byID[kid]; ok {
		n.drop(e)
	}
	if n.byID == nil {
		n.byID = make(map[string]*list.Element)
	}
	if n.order.Len() >= maxMissing {
		n.drop(n.order.Back())
	}
	n.byID[kid] = n.order.PushFront(negative{kid: kid, until: now.Add(missingFor)})
}

func (n *negatives) drop(e *list.Element) {
	delete(n.byID, e.Value.(negative).kid)
	n.order.Remove(e)
}
