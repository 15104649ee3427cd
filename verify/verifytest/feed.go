package verifytest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const (
	renewEvery = 250 * time.Millisecond
	lease      = 2 * time.Second
	firstLease = 10 * time.Second // how long a machine under load may take to it
)

var errDown = errors.New("the issuer is down")

// Feed follows what is revoked here, for the Feed of Config, and has its first lease
// already. Revoke is felt within milliseconds, and ends what verify.Verifier.Follow
// gave. Fail cuts it off: its lease of 2 s ends. It stops when the test ends.
func (i *Issuer) Feed() *revocation.Feed {
	i.t.Helper()
	feed, err := revocation.New(revocation.Config{Issuer: i.URL(), Hub: hub{i}, Audience: API, Now: i.now})
	if err != nil {
		i.t.Fatalf("verifytest: make the feed: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = feed.Run(ctx) }) // it runs once, and until ctx ends
	i.t.Cleanup(func() {
		stop()
		running.Wait()
	})
	late := time.NewTimer(firstLease)
	defer late.Stop()
	select {
	case <-feed.Ready():
	case <-late.C:
		i.t.Fatalf("verifytest: the feed has no lease after %s", firstLease)
	}
	return feed
}

// ledger is the revocation log of an issuer.
type ledger struct {
	key    *jose.Key
	secret revocation.Secret
	lease  []byte
	events []revocation.Event // position 1 is the first
	grown  chan struct{}      // closed when events has become longer, or the issuer is down
}

func newLedger() (*ledger, error) {
	key, err := jose.Generate(jose.EdDSA, rand.Text())
	if err != nil {
		return nil, err
	}
	l := &ledger{key: key, lease: make([]byte, revocation.LeaseKeySize), grown: make(chan struct{})}
	_, _ = rand.Read(l.lease) // it never fails
	_, _ = rand.Read(l.secret[:])
	// Credentials are minted at position 1: what takes them back comes after it.
	l.events = []revocation.Event{{Kind: revocation.None}}
	return l, nil
}

// add appends what an id may name: it says not of which kind it is.
func (l *ledger) add(id string) {
	for _, kind := range []revocation.Kind{revocation.Token, revocation.Session, revocation.User} {
		l.events = append(l.events, revocation.Event{Kind: kind, Key: l.secret.Key(kind, id), KeepUntil: keep})
	}
	l.wake()
}

// keep is later than any credential of a test lives.
const keep = 1 << 40

func (l *ledger) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *ledger) head() int64 { return int64(len(l.events)) }

// hub is the one hub of an issuer, in the same process.
type hub struct{ *Issuer }

func (h hub) Keys(context.Context) (jose.KeySet, error) {
	return jose.KeySet{h.log.key.Public()}, nil
}

func (h hub) Register(context.Context, revocation.Registration) (revocation.Registered, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return revocation.Registered{}, errDown
	}
	return revocation.Registered{
		Verifier: clientID, Ticket: clientID, LeaseKey: h.log.lease, Secret: h.log.secret[:], Epoch: 1, Head: h.log.head(),
		RenewMS: renewEvery.Milliseconds(), LeaseMS: lease.Milliseconds(),
	}, nil
}

func (h hub) Renew(_ context.Context, _ string, ask revocation.Ask) (string, error) {
	frame, head, _, err := h.after(ask.Applied)
	if err != nil {
		return "", err
	}
	a := revocation.Answer{
		Verifier: clientID, Nonce: ask.Nonce, Epoch: 1, Head: head, RenewMS: renewEvery.Milliseconds(), LeaseMS: lease.Milliseconds(),
	}
	if frame != "" {
		a.Frames = []string{frame}
	}
	return revocation.SealLease(a, h.log.lease)
}

func (h hub) Follow(ctx context.Context, _ string, from revocation.Position, deliver func(string, bool) error) error {
	for at := from.Seq; ; {
		frame, head, grown, err := h.after(at)
		if err != nil {
			return err
		}
		if frame != "" {
			if err := deliver(frame, false); err != nil {
				return err
			}
			at = min(head, at+revocation.EventsMost)
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h hub) Snapshot(context.Context, string, revocation.Position) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return nil, errDown
	}
	var all []revocation.Entry
	seen := map[uint64]bool{}
	for i, e := range h.log.events {
		if e.Kind != revocation.None && !seen[e.Key] {
			all = append(all, revocation.Entry{Kind: e.Kind, Key: e.Key, Seq: int64(i + 1), KeepUntil: e.KeepUntil})
		}
		seen[e.Key] = true
	}
	return revocation.EncodeSnapshot(h.URL(), revocation.Position{Epoch: 1, Seq: h.log.head()}, all, h.log.key)
}

func (h hub) Leave(context.Context, string) error { return nil }

// after gives everything after a position as one frame, "" when there is nothing;
// where the log ends; and what is closed when there is more.
func (h hub) after(seq int64) (frame string, head int64, grown chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.log
	if h.down {
		return "", 0, nil, errDown
	}
	head = l.head()
	if seq >= head {
		return "", head, l.grown, nil
	}
	to := min(head, seq+revocation.EventsMost)
	f := revocation.Frame{Issuer: h.URL(), Epoch: 1, From: seq + 1, To: to, Events: l.events[seq:to]}
	frame, err = f.Sign(l.key)
	return frame, head, l.grown, err
}
