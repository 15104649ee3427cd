package statuslist

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Lists are the lists that are published.
type Lists interface {
	Published(ctx context.Context, id string) (d *statuslist.Document, found bool, err error)
	URIs() []string
}

// Config is what a Surface is made of. All fields are needed.
type Config struct {
	Lists Lists
	Now   func() time.Time
	Log   *slog.Logger
}

// Surface serves the routes, to everybody.
type Surface struct{ Config }

// New returns a surface.
func New(c Config) *Surface { return &Surface{c} }

// Mount adds every route to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+statuslist.Path, s.handler(s.aggregation))
	mux.HandleFunc("GET "+statuslist.Path+"/{id}", s.handler(s.list))
}

func (s *Surface) handler(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			respond.Error(w, r, err, s.Log)
		}
	}
}

func (s *Surface) list(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Has("time") {
		respond.Refuse(w, r, respond.Refusal{
			Status: http.StatusNotImplemented, Code: "not_implemented", Message: "What a status list said at another time is not kept.",
		})
		return nil
	}
	d, found, err := s.Lists.Published(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if !found {
		return fault.New(fault.NotFound, "There is no such status list.")
	}
	// Caches may keep it as long as whoever fetched it when it was made.
	left := d.MaxAge - s.Now().Sub(d.Made)
	send(w, r, answer{text: d.Text, kind: "application/" + statuslist.Type, etag: d.ETag, age: left})
	return nil
}

// aggregated is section 9.3.
type aggregated struct {
	Lists []string `json:"status_lists"`
}

// aggregationAge is short: a list may be opened at any time.
const aggregationAge = 10 * time.Second

func (s *Surface) aggregation(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(aggregated{append([]string{}, s.Lists.URIs()...)})
	if err != nil {
		return fmt.Errorf("encode status list aggregation: %w", err)
	}
	send(w, r, answer{text: string(body), kind: "application/json", age: aggregationAge})
	return nil
}

type answer struct {
	text, kind, etag string
	age              time.Duration
}

// send answers conditional requests too.
func send(w http.ResponseWriter, r *http.Request, a answer) {
	middleware.Public(w, fmt.Sprintf("public, max-age=%d", max(int(a.age/time.Second), 0)))
	w.Header().Set("Content-Type", a.kind)
	if a.etag != "" {
		w.Header().Set("ETag", a.etag)
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(a.text))
}
