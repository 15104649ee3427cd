package statuslist_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/statuslist"
	surface "github.com/wafer-auth/wafer/internal/web/statuslist"
)

type lists struct{}

var made = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func (lists) Published(_ context.Context, id string) (*statuslist.Document, bool, error) {
	switch id {
	case "one":
		return &statuslist.Document{Text: "a.b.c", ETag: `"tag"`, MaxAge: 10 * time.Second, Made: made}, true, nil
	case "later":
		return nil, false, fault.New(fault.Unavailable, "Later.").Retry(time.Second)
	case "broken":
		return nil, false, errors.New("secret detail")
	}
	return nil, false, nil
}

func (lists) URIs() []string { return nil }

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	surface.New(surface.Config{
		Lists: lists{}, Now: func() time.Time { return made.Add(3 * time.Second) }, Log: slog.New(slog.DiscardHandler),
	}).Mount(mux)
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestListIsSentForCachesToKeep(t *testing.T) {
	t.Parallel()
	w := get(t, "/status-lists/one")
	h := w.Header()
	if w.Code != 200 || w.Body.String() != "a.b.c" || h.Get("Content-Type") != "application/statuslist+jwt" || h.Get("ETag") != `"tag"` ||
		h.Get("Cache-Control") != "public, max-age=7" || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v %s", w.Code, h, w.Body)
	}
	if w := get(t, "/status-lists/one", "If-None-Match", `W/"tag"`); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("unchanged: %d %s", w.Code, w.Body)
	}
	if w := get(t, "/status-lists/one", "If-None-Match", `"old"`); w.Code != 200 {
		t.Errorf("changed: %d", w.Code)
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path string
		want int
	}{
		{"/status-lists/none", 404}, {"/status-lists/later", 503}, {"/status-lists/broken", 500},
		{"/status-lists/one?time=1686925000", 501}, {"/status-lists/one", 200},
	} {
		w := get(t, tt.path)
		var body struct{ Message string }
		if w.Code != tt.want || w.Code != 200 && (json.Unmarshal(w.Body.Bytes(), &body) != nil || body.Message == "" || w.Header().Get("Cache-Control") == "public, max-age=7") {
			t.Errorf("%s: %d %s", tt.path, w.Code, w.Body)
		}
	}
}

func TestAggregationIsAList(t *testing.T) {
	t.Parallel()
	w := get(t, "/status-lists")
	if w.Code != 200 || w.Body.String() != `{"status_lists":[]}` || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
