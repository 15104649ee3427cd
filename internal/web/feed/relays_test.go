package feed_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	surface "github.com/wafer-auth/wafer/internal/web/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// A stream outlives the time-outs of the server, goes on after the last event, and
// ends with the hub.
func TestStreamGoesOnAndEnds(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for i := range 3 {
		g.end(revoke.Session, fmt.Sprint("ses_", i))
	}
	in := g.registered()
	lines, done := g.events(in.Ticket, "1:2")
	g.line(lines, "id: 1:3")
	g.line(lines, "event: frame")
	f, err := feed.PositionOf(strings.TrimPrefix(g.line(lines, "data: "), "data: "))
	if err != nil || f != (revocation.Position{Epoch: 1, Seq: 3}) {
		t.Errorf("got %v %v", f, err)
	}
	for range 12 { // three times the time-outs
		g.line(lines, ":")
	}
	g.end(revoke.Session, "ses_9")
	g.line(lines, "id: 1:4")
	g.must(g.hub.WantAcks(t.Context()))
	g.line(lines, "event: eager")
	select {
	case <-done:
		t.Fatal("the stream has ended")
	default:
	}
	g.stop()
	g.await("the stream ends", done)
	if a := g.send("GET", "/feed/events", nil, bearer(in.Ticket)); a.StatusCode != 400 {
		t.Errorf("without a position: got %d", a.StatusCode)
	}
}

// A reader that does not read holds nothing but its connection, and not for long.
func TestSlowReaderIsCut(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	in := g.registered()
	mux := http.NewServeMux()
	surface.New(surface.Config{Source: g.hub, Now: clock, Beat: time.Millisecond, Log: g.quiet}).Mount(mux)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/feed/events?from=1:0", nil)
	bearer(in.Ticket)(r)
	w := &stuck{header: http.Header{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		mux.ServeHTTP(w, r)
	}()
	g.await("the handler ends", done)
	if left := w.deadline.Sub(clock()); left <= 0 || left > 10*time.Second {
		t.Errorf("a write may take %v", left)
	}
}

// stuck is a connection whose third write runs into its deadline.
type stuck struct {
	header   http.Header
	deadline time.Time
	writes   int
}

func (s *stuck) Header() http.Header { return s.header }
func (s *stuck) WriteHeader(int)     {}
func (s *stuck) Write(b []byte) (int, error) {
	if s.writes++; s.writes > 2 {
		return 0, context.DeadlineExceeded
	}
	return len(b), nil
}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func (s *stuck) FlushError() error { return nil }
