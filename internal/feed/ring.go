package feed

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// piece is a frame as it was signed.
type piece struct {
	epoch, from, to int64
	text            string
}

// PositionOf reads where a frame leads to. It checks no signature: it is for
// frames that one has made or verified oneself.
func PositionOf(frame string) (revocation.Position, error) {
	m, err := jose.Parse(frame, jose.Limits{Token: 1 << 20})
	if err != nil {
		return revocation.Position{}, err
	}
	var claims struct {
		Events map[string]struct {
			Epoch int64 `json:"ep"`
			To    int64 `json:"to"`
		} `json:"events"`
	}
	if err := json.Unmarshal(m.UnverifiedPayload(), &claims); err != nil {
		return revocation.Position{}, err
	}
	e := claims.Events[revocation.EventType]
	return revocation.Position{Epoch: e.Epoch, Seq: e.To}, nil
}

// ringMost is how many positions, and how many frames, a ring keeps.
const (
	ringMost   = 16_384
	ringFrames = 2048
)

// ring keeps the frames of late, one behind the other without a hole, and wakes
// those who wait for more.
type ring struct {
	mu      sync.Mutex
	at      revocation.Position // of the last frame, or where the ring began
	base    int64               // the frames hold base+1 to at.Seq
	pieces  []piece
	eager   time.Time // somebody waits for acks until then
	pokes   int       // how often everybody was to renew
	changed chan struct{}
}

func newRing() *ring { return &ring{changed: make(chan struct{})} }

// reset begins anew at a position.
func (r *ring) reset(at revocation.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.base, r.pieces = at, at.Seq, nil
	r.tell()
}

// advance begins anew at a position that lies ahead: what is in between came by
// another way.
func (r *ring) advance(at revocation.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ahead(at, r.at) {
		r.at, r.base, r.pieces = at, at.Seq, nil
		r.tell()
	}
}

// add takes a frame. One that is known changes nothing; behind a hole, or in
// another epoch, the ring begins anew with it.
func (r *ring) add(p piece) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case p.epoch < r.at.Epoch || p.epoch == r.at.Epoch && p.to <= r.at.Seq:
		return
	case p.epoch != r.at.Epoch || p.from > r.at.Seq+1:
		r.base, r.pieces = p.from-1, nil
	}
	r.pieces = append(r.pieces, p)
	r.at = revocation.Position{Epoch: p.epoch, Seq: p.to}
	for len(r.pieces) > 1 && (len(r.pieces) > ringFrames || r.at.Seq-r.base > ringMost) {
		r.base = r.pieces[0].to
		r.pieces[0] = piece{}
		r.pieces = r.pieces[1:]
	}
	r.tell()
}

// want moves the time until which acks are wanted, never back.
func (r *ring) want(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if until.After(r.eager) {
		r.eager = until
		r.tell()
	}
}

// poke makes everybody who follows renew now.
func (r *ring) poke() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pokes++
	r.tell()
}

func (r *ring) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *ring) position() revocation.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// view is what a ring holds at one moment.
type view struct {
	at      revocation.Position
	base    int64
	pieces  []piece // those with positions after the one asked for
	eager   time.Time
	pokes   int
	changed <-chan struct{} // closed when there is something new
}

// after returns the frames that hold positions after one, oldest first, at most
// limit. None of them is missing if view.base is not above it.
func (r *ring) after(seq int64, limit int) view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := view{at: r.at, base: r.base, eager: r.eager, pokes: r.pokes, changed: r.changed}
	first := len(r.pieces)
	for first > 0 && r.pieces[first-1].to > seq {
		first--
	}
	v.pieces = append(v.pieces, r.pieces[first:min(len(r.pieces), first+limit)]...)
	return v
}

// last returns the newest frame.
func (r *ring) last() (piece, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pieces) == 0 {
		return piece{}, false
	}
	return r.pieces[len(r.pieces)-1], true
}
