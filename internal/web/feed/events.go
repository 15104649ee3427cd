package feed

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
)

// slow is how long a reader may take for one write, half of it at least. Who takes
// longer is cut off, and goes on from where it was.
const slow = 10 * time.Second

// frame is one that goes out.
type frame struct {
	text  string
	eager bool
}

// events sends frames as they come (server-sent events, WHATWG HTML section 9.2):
// after Last-Event-ID, or after the parameter from.
func (s *Surface) events(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(w, r)
	if err != nil {
		return err
	}
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("from")
	}
	after, err := position(text, "Last-Event-ID, or from,")
	if err != nil {
		return err
	}
	sub, err := s.Source.Subscribe(r.Context(), ticket, after)
	if err != nil {
		return challenge(w, err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies that would collect what has to leave at once
	w.WriteHeader(http.StatusOK)
	s.stream(w, r, sub)
	return nil
}

// stream writes until either side ends.
func (s *Surface) stream(w http.ResponseWriter, r *http.Request, sub *feed.Subscription) {
	out := &writer{w: w, control: http.NewResponseController(w), now: s.Now, last: &s.event}
	if out.begin() != nil {
		return
	}
	beat := time.NewTicker(s.Beat)
	defer beat.Stop()
	_ = sub.Run(r.Context(), feed.Outlet{ // whatever it was, the next renewal tells the verifier
		Deliver: func(text string, eager bool) error { return out.send(frame{text, eager}) },
		Alive:   func() error { return out.write([]byte(":\n\n")) },
		Beat:    beat.C,
	})
}

// event is a frame as it goes out. All readers of a frame are sent the same one: to
// look into the frame and to copy it for each of them would double what it costs.
type event struct {
	of   frame
	text []byte
}

// writer writes to one reader.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
	last    *atomic.Pointer[event] // that any reader was sent
	set     time.Time              // when the deadline was
}

// begin lifts the time-outs of a server for short answers. The one for reading
// counts too: when it ends, the server takes the caller for gone.
func (o *writer) begin() error {
	if err := o.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return o.write([]byte(":\n\n"))
}

func (o *writer) send(f frame) error {
	e := o.last.Load()
	if e == nil || e.of != f {
		e = eventOf(f)
		o.last.Store(e)
	}
	return o.write(e.text)
}

func eventOf(f frame) *event {
	name := "frame"
	if f.eager {
		name = "eager"
	}
	var b strings.Builder
	if id, ok := idOf(f.text); ok {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("event: " + name + "\ndata: " + f.text + "\n\n")
	return &event{of: f, text: []byte(b.String())}
}

func (o *writer) write(text []byte) error {
	if now := o.now(); now.Sub(o.set) > slow/2 || now.Before(o.set) {
		if err := o.control.SetWriteDeadline(now.Add(slow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		o.set = now
	}
	if _, err := o.w.Write(text); err != nil {
		return err
	}
	return o.control.Flush()
}

// idOf is the position that a frame leads to. The frame is our own, or one that a
// relay has verified.
func idOf(text string) (string, bool) {
	at, err := feed.PositionOf(text)
	if err != nil {
		return "", false
	}
	return at.String(), true
}
