package statuslist

import (
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// Pack is what a list's bits become.
var Pack = pack

// Capacity is how many numbers a list gives.
const Capacity = capacity

// Order is the order of a list: its index for a number, and back.
func Order(k *opaque.Key, list string) (index, number func(int) int) {
	p := newPermutation(k, list)
	return p.index, p.number
}

// DecoyTimes is when each decoy of a list is set.
func DecoyTimes(k *opaque.Key, l List) []time.Time {
	var all []time.Time
	for _, d := range decoysOf(k, l, newPermutation(k, l.ID)) {
		all = append(all, d.at)
	}
	return all
}
