package feed

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// FLEET waits for verifiers that somebody has seen of late. So that no other can
// hold a lease, a hub gives one only to whom the store knows, and whose being
// there was written to it within notedWithin.
const (
	notedWithin  = 10 * time.Second
	goneAfter    = time.Minute // not seen for so long: it has no lease, whatever the clocks of hubs
	forgetAfter  = 10 * time.Minute
	notesEvery   = 2 * time.Second
	eagerNotes   = 20 * time.Millisecond
	idleNotes    = 10 * time.Second // of a hub that nobody speaks to
	notesAtOnce  = 200              // a revocation that comes meanwhile waits for no more
	historyMost  = 16
	historiesMax = 50_000
)

// advance is a position, and when it was first heard that a verifier has it.
type advance struct {
	epoch, applied int64
	heard          time.Time
}

// member is a verifier that speaks to this hub.
type member struct {
	clientID string
	note     Note
	since    time.Duration // when it came here
	heard    time.Duration
	noted    time.Duration // when the last note began to be written that is durable now
	durable  bool
	dirty    bool
}

// register is what a hub heard of verifiers itself.
type register struct {
	node    string
	clock   clock
	mu      sync.Mutex
	members map[string]*member
	history map[string][]advance
	changed chan struct{} // closed when a verifier has come further
	listed  time.Duration // when the store's list was begun to be read
	ever    bool
	listing gate
	writing gate
	told    revocation.Position // what the hub wrote of itself last; for who writes
	telling time.Duration       // when
}

func newRegister(h *Hub) *register {
	return &register{
		node: h.Node, clock: h.clock, members: map[string]*member{}, history: map[string][]advance{}, changed: make(chan struct{}),
		listing: newGate(), writing: newGate(),
	}
}

// add takes in a verifier whose row is durable since a moment.
func (r *register) add(v Verifier, since time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[v.ID] = &member{clientID: v.ClientID, note: v.Note, since: r.clock.elapsed(), heard: since, noted: since, durable: true}
}

func (r *register) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, id)
	delete(r.history, id)
}

// client returns the client of a verifier that is known here.
func (r *register) client(id string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[id]
	if !ok {
		return "", false
	}
	return m.clientID, true
}

// newcomer reports whether a verifier has come so lately that a lease could be of
// a time before it was registered.
func (r *register) newcomer(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[id]
	return !ok || r.clock.elapsed()-m.since < patience
}

// hear notes how far a known verifier has come.
func (r *register) hear(n Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[n.ID]
	if !ok {
		return
	}
	n.Node, n.Seen = r.node, r.clock.now()
	if n.Epoch < m.note.Epoch || n.Epoch == m.note.Epoch && n.Applied < m.note.Applied {
		n.Epoch, n.Applied = m.note.Epoch, m.note.Applied // an old ask that came late
	}
	m.note, m.heard, m.dirty = n, r.clock.elapsed(), true
	r.moved(n)
}

// moved keeps when a position was first heard, and tells those who wait.
func (r *register) moved(n Note) {
	past := r.history[n.ID]
	if len(past) > 0 {
		last := past[len(past)-1]
		if n.Epoch < last.epoch || n.Epoch == last.epoch && n.Applied <= last.applied {
			return
		}
	} else if len(r.history) >= historiesMax {
		clear(r.history)
	}
	if len(past) >= historyMost {
		past = append(past[:0:0], past[1:]...)
	}
	r.history[n.ID] = append(past, advance{epoch: n.Epoch, applied: n.Applied, heard: r.clock.now()})
	close(r.changed)
	r.changed = make(chan struct{})
}

// observe takes from the store's list what others heard.
func (r *register) observe(list []Verifier) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range list {
		r.moved(v.Note)
	}
}

// merge puts what was heard here into a list of the store's.
func (r *register) merge(list []Verifier) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list {
		m, ok := r.members[list[i].ID]
		if !ok {
			continue
		}
		n := m.note
		if n.Epoch < list[i].Epoch || n.Epoch == list[i].Epoch && n.Applied < list[i].Applied {
			n.Epoch, n.Applied = list[i].Epoch, list[i].Applied
		}
		if n.Seen.Before(list[i].Seen) {
			n.Seen, n.Staleness, n.Entries, n.Node = list[i].Seen, list[i].Staleness, list[i].Entries, list[i].Node
		}
		list[i].Note = n
	}
}

// applied reports whether a verifier is known to have a position, and when that
// was first heard.
func (r *register) applied(id string, at revocation.Position) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.history[id] {
		if a.epoch >= at.Epoch && a.applied >= at.Seq {
			return a.heard, true
		}
	}
	return time.Time{}, false
}

func (r *register) watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// fresh reports whether a verifier's being there is written durably, and lately.
func (r *register) fresh(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[id]
	return ok && m.durable && r.clock.elapsed()-m.noted <= notedWithin
}

// take returns the notes that are to be written.
func (r *register) take() []Note {
	r.mu.Lock()
	defer r.mu.Unlock()
	var notes []Note
	for _, m := range r.members {
		if m.dirty {
			m.dirty = false
			notes = append(notes, m.note)
		}
	}
	return notes
}

// wrote tells how writing notes went that was begun at a moment.
func (r *register) wrote(notes []Note, began time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range notes {
		m, here := r.members[n.ID]
		switch {
		case !here:
		case ok:
			m.noted, m.durable = began, true
		default:
			m.dirty = true
		}
	}
}

// forget drops who has not been heard for long: the store may purge it.
func (r *register) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.elapsed()
	for id, m := range r.members {
		if now-m.heard > forgetAfter {
			delete(r.members, id)
			delete(r.history, id)
		}
	}
}

func (r *register) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// welcome sees to it that a verifier is one that the store knows.
func (h *Hub) welcome(ctx context.Context, id string) error {
	if _, ok := h.heard.client(id); ok {
		return nil
	}
	r, arrival := h.heard, h.clock.elapsed()
	if err := r.listing.enter(ctx); err != nil {
		return err
	}
	defer r.listing.leave()
	if _, ok := r.client(id); ok {
		return nil
	}
	if r.ever && r.listed > arrival {
		return errTicket("the verifier is not registered any more")
	}
	began := h.clock.elapsed()
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := h.Store.Verifiers(brief)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "The list of verifiers cannot be read now.")
	}
	r.listed, r.ever = began, true
	r.mu.Lock()
	for _, v := range list {
		if _, known := r.members[v.ID]; !known && v.Kind != PartHub {
			r.members[v.ID] = &member{clientID: v.ClientID, note: v.Note, since: began, heard: began}
		}
	}
	r.mu.Unlock()
	if _, ok := r.client(id); !ok {
		return errTicket("the verifier is not registered any more")
	}
	return nil
}

// attest sees to it that a verifier's being there is durable before it gets a
// lease: mostly the notes that are written anyway do.
func (h *Hub) attest(ctx context.Context, id string) error {
	if h.heard.fresh(id) {
		return nil
	}
	if err := h.heard.writing.enter(ctx); err != nil {
		return err
	}
	defer h.heard.writing.leave()
	if h.heard.fresh(id) {
		return nil // by whoever wrote while we waited
	}
	if err := h.write(ctx); err != nil {
		return fault.Wrap(err, fault.Unavailable, "How far verifiers have come cannot be written now.")
	}
	if !h.heard.fresh(id) {
		return fault.Wrap(errors.New("the verifier was forgotten meanwhile"), fault.Unavailable, "Ask again.")
	}
	return nil
}

// write makes all notes durable, and how far this hub is itself. Only one writes
// at a time.
func (h *Hub) write(ctx context.Context) error {
	began := h.clock.elapsed()
	notes := h.heard.take()
	at := h.ring.position()
	age, ok := h.Age()
	if !ok {
		age = -1
	}
	own := Note{ID: h.id, Epoch: at.Epoch, Applied: at.Seq, Staleness: age, Node: h.Node, Seen: h.Now()}
	var err error
	for some := range slices.Chunk(append(notes, own), notesAtOnce) {
		if err == nil {
			err = h.writeSome(ctx, some)
		}
		h.heard.wrote(some, began, err == nil)
	}
	if err == nil {
		h.heard.told, h.heard.telling = at, began
	}
	return err
}

func (h *Hub) writeSome(ctx context.Context, notes []Note) error {
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return h.Store.NoteVerifiers(brief, notes)
}

// nothing reports whether there is nothing to write: an idle server leaves its disk
// alone.
func (h *Hub) nothing() bool {
	r := h.heard
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.dirty {
			return false
		}
	}
	return r.told == h.ring.position() && r.clock.elapsed()-r.telling < idleNotes
}

// writeNotes makes notes durable again and again: at once when somebody waits.
func (h *Hub) writeNotes(ctx context.Context) {
	h.attend(ctx)
	for failing := false; ctx.Err() == nil; {
		err := h.heard.writing.enter(ctx)
		if err != nil {
			return
		}
		if !h.nothing() {
			err = h.write(ctx)
		}
		h.heard.writing.leave()
		if err != nil && !failing && ctx.Err() == nil {
			h.Log.Error("how far verifiers have come cannot be written: they get no leases soon", "error", err)
		}
		failing = err != nil
		if h.ring.after(0, 0).eager.After(h.Now()) {
			pause(ctx, eagerNotes, nil)
			continue
		}
		pause(ctx, notesEvery, h.eager)
	}
}

// attend puts this hub on the list.
func (h *Hub) attend(ctx context.Context) {
	now := h.Now()
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := h.Store.AddVerifier(brief, Verifier{
		ID: h.id, Kind: PartHub, Name: h.Node, Registered: now, Note: Note{ID: h.id, Staleness: -1, Node: h.Node, Seen: now},
	})
	if err != nil && !fault.Is(err, fault.Conflict) && ctx.Err() == nil {
		h.Log.Warn("the hub cannot put itself on the list yet", "error", err)
	}
}

// leaveAll takes this hub off the list, when it ends.
func (h *Hub) leaveAll() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.heard.writing.enter(ctx); err != nil {
		return
	}
	defer h.heard.writing.leave()
	err := errors.Join(h.write(ctx), h.Store.RemoveVerifiers(ctx, []string{h.id}))
	if err != nil {
		h.Log.Warn("the hub has not left the list", "error", err)
	}
}

// keepHouse does what has time.
func (h *Hub) keepHouse(ctx context.Context) {
	const step = 10 * time.Second
	for n := 1; pause(ctx, step, nil); n++ {
		h.askAgain(ctx)
		h.heard.forget()
		h.shots.forget(h.clock)
		if n%30 != 0 {
			continue
		}
		h.attend(ctx) // whoever could not write for an hour was taken off the list
		brief, cancel := context.WithTimeout(ctx, patience)
		if _, err := h.Store.PurgeVerifiers(brief, h.Now().Add(-purgeWhen), 500); err != nil && ctx.Err() == nil {
			h.Log.Error("purge verifiers", "error", err)
		}
		cancel()
	}
}

// askAgain asks of each client here whether it still may follow.
func (h *Hub) askAgain(ctx context.Context) {
	if h.Allowed == nil {
		return
	}
	for clientID := range h.tickets.clients() {
		brief, cancel := context.WithTimeout(ctx, patience)
		err := h.Allowed(brief, clientID)
		cancel()
		var refusal *fault.Error
		switch {
		case err == nil:
			h.tickets.deny(clientID, false)
		case errors.As(err, &refusal) && refusal.Code != fault.Unavailable && refusal.Code != fault.Busy:
			h.tickets.deny(clientID, true)
			h.state.ends.Add(1)
		}
	}
}
