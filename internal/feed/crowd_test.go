package feed_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// What a hub writes of a crowd, it writes in parts: a revocation that comes meanwhile
// does not wait for all of it.
func TestNotesOfACrowdAreWrittenInParts(t *testing.T) {
	t.Parallel()
	const crowd, part = 450, 200
	bubble(t, func(g *rig) {
		seq := g.end("ses_0")
		h, _ := g.hub("hub")
		wait(time.Second)
		for n := range crowd {
			in, err := h.Admit(g.Context(), good, revocation.Registration{Name: fmt.Sprint("v", n)})
			g.must(err)
			_, err = h.Renew(g.Context(), in.Ticket, revocation.Ask{Nonce: "n", Epoch: 1, Applied: seq, AsOfMS: 5})
			g.must(err)
		}
		wait(3 * time.Second)
		list, err := g.store.Verifiers(g.Context())
		g.must(err)
		behind := 0
		for _, v := range list {
			if v.Kind == feed.PartVerifier && v.Applied != seq {
				behind++
			}
		}
		if len(list) != crowd+1 || behind > 0 {
			g.Errorf("%d of %d in the list are behind", behind, len(list))
		}
		g.store.mu.Lock()
		defer g.store.mu.Unlock()
		if g.store.noted > part || g.store.noted < part/2 {
			g.Errorf("%d verifiers were noted in one change, want no more than %d", g.store.noted, part)
		}
	})
}

// Who may not follow any more, with no entry in the log that says so, hears nothing
// further on a stream that is open.
func TestStreamEndsWhenTheScopeIsTakenAway(t *testing.T) {
	t.Parallel()
	bubble(t, func(g *rig) {
		h, _ := g.hub("one")
		in, err := h.Admit(g.Context(), good, revocation.Registration{})
		g.must(err)
		ended, heard := make(chan error, 1), make(chan string, 10)
		go func() {
			ended <- h.Follow(g.Context(), in.Ticket, revocation.Position{Epoch: 1}, func(frame string, _ bool) error {
				heard <- frame
				return nil
			})
		}()
		g.end("ses_1")
		wait(20 * time.Millisecond)
		if len(heard) != 1 {
			g.Fatalf("%d frames before", len(heard))
		}
		g.mu.Lock()
		g.allowed["orders"] = false
		g.mu.Unlock()
		wait(11 * time.Second)
		g.end("ses_2")
		wait(20 * time.Millisecond)
		select {
		case err := <-ended:
			if !errors.Is(err, revocation.ErrRefused) || len(heard) != 1 {
				g.Errorf("got %v after %d frames", err, len(heard))
			}
		default:
			g.Error("the stream goes on")
		}
	})
}
