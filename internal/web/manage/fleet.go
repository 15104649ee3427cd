package manage

import (
	"context"
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Feed lists those who follow the revocation feed.
type Feed interface {
	Verifiers(ctx context.Context) ([]feed.View, error)
}

// Verifiers is who follows the feed: hubs, relays and verifiers.
type Verifiers struct {
	Verifiers []Verifier `json:"verifiers"`
}

// Verifier is one start of a verifier, and how far it has come.
type Verifier struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"` // verifier, relay or hub
	Name       string    `json:"name"`
	Client     string    `json:"client,omitempty"`
	Audience   string    `json:"audience,omitempty"`
	Policy     string    `json:"policy,omitempty"`
	Version    string    `json:"version,omitempty"`
	Node       string    `json:"node,omitempty"` // the hub it was heard by
	Registered time.Time `json:"registered_at"`
	Seen       time.Time `json:"seen_at"`
	Applied    int64     `json:"applied"`            // position of the log
	Lag        int64     `json:"lag"`                // positions behind the log
	StaleMS    *float64  `json:"stale_ms,omitempty"` // when it was last heard; absent before its first lease
	Entries    int64     `json:"entries"`
	State      string    `json:"state"` // current, behind or silent
}

// Drill is what a drill measured. Times are from the revocation until the server
// had heard of the refusal.
type Drill struct {
	Seq       int64     `json:"seq"`
	P50MS     float64   `json:"p50_ms"`
	P99MS     float64   `json:"p99_ms"`
	SlowestMS float64   `json:"slowest_ms"`
	FleetMS   float64   `json:"fleet_ms"` // until no verifier could accept any more
	Verifiers []Drilled `json:"verifiers"`
}

// Drilled is one verifier in a drill, the slowest first.
type Drilled struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	Client    string   `json:"client,omitempty"`
	Audience  string   `json:"audience,omitempty"`
	Policy    string   `json:"policy,omitempty"`
	RefusedMS *float64 `json:"refused_ms,omitempty"` // absent when it did not tell
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(time.Millisecond/time.Microsecond)
}

func (s *Surface) listVerifiers(w http.ResponseWriter, r *http.Request, _ caller) error {
	all, err := s.Feed.Verifiers(r.Context())
	if err != nil {
		return err
	}
	out := Verifiers{Verifiers: make([]Verifier, 0, len(all))}
	for _, v := range all {
		out.Verifiers = append(out.Verifiers, verifierShape(v))
	}
	respond.JSON(w, http.StatusOK, out)
	return nil
}

func verifierShape(v feed.View) Verifier {
	out := Verifier{
		ID: v.ID, Kind: string(v.Kind), Name: v.Name, Client: v.ClientID, Audience: v.Audience, Policy: v.Policy, Version: v.Version,
		Node: v.Node, Registered: v.Registered.UTC(), Seen: v.Seen.UTC(), Applied: v.Applied, Lag: v.Lag, Entries: v.Entries, State: v.State,
	}
	if v.Staleness >= 0 {
		ms := milliseconds(v.Staleness)
		out.StaleMS = &ms
	}
	return out
}

func (s *Surface) drill(w http.ResponseWriter, r *http.Request, c caller) error {
	d, err := s.Setup.Drill(r.Context(), c.by())
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, drillShape(d))
	return nil
}

func drillShape(d admin.Drilled) Drill {
	out := Drill{
		Seq: d.Seq, P50MS: milliseconds(d.Quantile(0.5)), P99MS: milliseconds(d.Quantile(0.99)), SlowestMS: milliseconds(d.Quantile(1)),
		FleetMS: milliseconds(d.Fleet), Verifiers: make([]Drilled, 0, len(d.Verifiers)),
	}
	for _, v := range d.Verifiers {
		row := Drilled{ID: v.ID, Name: v.Name, Kind: string(v.Kind), Client: v.ClientID, Audience: v.Audience, Policy: v.Policy}
		if v.After >= 0 {
			ms := milliseconds(v.After)
			row.RefusedMS = &ms
		}
		out.Verifiers = append(out.Verifiers, row)
	}
	return out
}
