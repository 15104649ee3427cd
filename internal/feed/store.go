package feed

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/revoke"
)

// Head is where the log stands.
type Head struct {
	Epoch      int64     // 1 at first
	Seq        int64     // the highest position given so far
	EagerUntil time.Time // somebody waits until then for verifiers to have applied something
	KeyChanges int64     // how often signing keys were changed; another number means another key set, perhaps
}

// Verifier is one start of a verifier, a relay or a hub, as everybody sees it.
type Verifier struct {
	ID         string // of this start
	Kind       Part
	ClientID   string // as which it authenticated; "" for hubs
	Name       string
	Audience   string
	Policy     string
	Version    string
	Registered time.Time
	Note
}

// Part is the part that somebody plays in the feed.
type Part string

// The parts.
const (
	PartVerifier Part = "verifier"
	PartRelay    Part = "relay"
	PartHub      Part = "hub"
)

// Note is how far a verifier had come when it was last heard of.
type Note struct {
	ID        string
	Epoch     int64
	Applied   int64
	Staleness time.Duration // of what it answers from; -1 before its first lease
	Entries   int64
	Node      string // the hub it was heard by
	Seen      time.Time
}

// Store is what hubs share. Every method is atomic and durable when it returns.
type Store interface {
	// FeedHead reads where the log stands, all of it at one moment.
	FeedHead(ctx context.Context) (Head, error)
	// Revocations returns entries with Seq > after, in order, at most limit.
	Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error)
	// AwaitRevocations returns when the log may have gone beyond after, or when
	// ctx ends. It is a doorbell and no more: it may return early, and it may
	// miss a change that another process made.
	AwaitRevocations(ctx context.Context, after int64) error
	// WantAcks moves Head.EagerUntil to until, never back.
	WantAcks(ctx context.Context, until time.Time) error
	// RaiseEpoch makes epoch from+1 the current one, if from still is, and sees
	// to it that no position up to least is given again. It reports whether it did.
	RaiseEpoch(ctx context.Context, from, least int64) (bool, error)

	// AddVerifier records a verifier. A taken id is fault.Conflict.
	AddVerifier(ctx context.Context, v Verifier) error
	// NoteVerifiers updates the notes of those that are there; a note never moves
	// Seen back, nor Applied within an epoch.
	NoteVerifiers(ctx context.Context, notes []Note) error
	// Verifiers lists all, by time of registration and id.
	Verifiers(ctx context.Context) ([]Verifier, error)
	// RemoveVerifiers removes those with these ids.
	RemoveVerifiers(ctx context.Context, ids []string) error
	// PurgeVerifiers removes at most limit that were last seen before a time, and
	// returns how many.
	PurgeVerifiers(ctx context.Context, before time.Time, limit int) (int, error)
}
