package jose

import (
	"strings"
	"sync/atomic"
)

// maxKept is how many headers are remembered. An issuer has one for each key in
// use, and seldom more than two keys.
const maxKept = 8

// Headers remembers the headers of verified tokens: all tokens of a key carry the
// same one, and it need not be read again. It is bounded and safe for concurrent
// use; the zero value is ready. It must not be copied after first use.
//
// What is remembered is what Parse makes of exactly these characters, so that
// nothing but speed depends on it. A header is kept only once Verify has accepted a
// token that carries it: strangers can neither fill the memory nor drive a good
// header out of it.
type Headers struct {
	slots [maxKept]atomic.Pointer[keptHeader]
	next  atomic.Uint32
}

type keptHeader struct {
	segment string
	header  Header
}

// Parse is the function Parse with a memory. Every token gives the same result,
// or an error of the same kind, from both.
func (r *Headers) Parse(token string, l Limits) (*Message, error) {
	return (&Message{headers: r}).read(token, l)
}

// find returns what the header segment says, or nil if it is not remembered.
func (r *Headers) find(segment string) *Header {
	if r == nil {
		return nil
	}
	for i := range r.slots {
		k := r.slots[i].Load()
		if k == nil {
			return nil // slots fill in order; a gap that a race leaves costs a miss
		}
		if k.segment == segment {
			return &k.header
		}
	}
	return nil
}

// keep remembers the header of a message that was verified, in place of the oldest.
func (r *Headers) keep(segment string) {
	if len(segment) > DefaultHeaderLimit || r.find(segment) != nil {
		return
	}
	// Read again, because a caller may have changed what Message.Header says.
	text, err := DecodeSegment(segment)
	if err != nil {
		return
	}
	h, err := signedHeader(text)
	if err != nil {
		return
	}
	r.slots[(r.next.Add(1)-1)%maxKept].Store(&keptHeader{segment: strings.Clone(segment), header: h})
}
