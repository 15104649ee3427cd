package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Decoys are numbers that no token is ever given. Some of their bits are set when
// a list is opened, others later, so that a bit that is set, or many of them, need
// not mean that anybody was signed out.
const (
	decoys   = 512
	capacity = Size - decoys
	fewest   = 64 // of either kind; at most three times as many
)

// level is how hard lists are compressed. The highest takes up to forty times as
// long (35 ms for a list with one bit in a thousand), for a quarter less at best.
const level = 6

// decoy is a bit to be set at a moment.
type decoy struct {
	at    time.Time
	index int
}

// list is one list on its way to be published. One goroutine uses it at a time.
type list struct {
	id     string
	order  *permutation
	decoys []decoy // still to be set, the next one first
	ended  int     // how many of the store's marks are in bits
	bits   []byte
	packed string // lst: compressed, as text
	doc    *Document
}

func newList(k *opaque.Key, l List) *list {
	out := &list{id: l.ID, order: newPermutation(k, l.ID), bits: make([]byte, Size/8)}
	out.decoys = decoysOf(k, l, out.order)
	return out
}

// decoysOf is a function of the list: every node sets the same bits.
func decoysOf(k *opaque.Key, l List, order *permutation) []decoy {
	raw := stream(k, 8*(2+decoys), "decoys", l.ID)
	next := func() uint64 {
		v := binary.LittleEndian.Uint64(raw)
		raw = raw[8:]
		return v
	}
	early := fewest + int(next()%(2*fewest+1))
	late := fewest + int(next()%(2*fewest+1))
	span := max(uint64(l.Ends.Sub(l.Opened)), 1)
	all := make([]decoy, 0, early+late)
	for i := range early + late {
		d := decoy{at: l.Opened, index: order.index(capacity + i)}
		if i >= early {
			d.at = l.Opened.Add(time.Duration(next() % span))
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b decoy) int { return a.at.Compare(b.at) })
	return all
}

// set sets a bit: the least significant bit of a byte is the first (section 4.1).
func (l *list) set(index int) { l.bits[index/8] |= 1 << (index % 8) }

// mark takes numbers that were ended, in the store's order.
func (l *list) mark(numbers []int) {
	for _, n := range numbers {
		l.set(l.order.index(n))
	}
	l.ended += len(numbers)
}

// mislead sets the decoys that are due and reports whether there were any.
func (l *list) mislead(now time.Time) bool {
	due := 0
	for due < len(l.decoys) && !l.decoys[due].at.After(now) {
		l.set(l.decoys[due].index)
		due++
	}
	l.decoys = l.decoys[due:]
	return due > 0
}

// pack compresses the bits (section 4.1: ZLIB, RFC 1950).
func pack(bits []byte) (string, error) {
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		return "", fmt.Errorf("compress status list: %w", err)
	}
	if _, err := w.Write(bits); err != nil {
		return "", fmt.Errorf("compress status list: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("compress status list: %w", err)
	}
	return jose.EncodeSegment(b.Bytes()), nil
}
