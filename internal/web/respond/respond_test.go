package respond_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func TestErrorPicksTheStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want int
		body string
	}{
		{"invalid", fault.New(fault.Invalid, "No."), 400, `{"error":"invalid_request","message":"No."}`},
		{"nobody", fault.New(fault.Unauthenticated, "No."), 401, `{"error":"unauthenticated","message":"No."}`},
		{"forbidden", fault.New(fault.Forbidden, "No."), 403, `{"error":"forbidden","message":"No."}`},
		{"absent", fault.New(fault.NotFound, "No."), 404, `{"error":"not_found","message":"No."}`},
		{"conflict", fault.New(fault.Conflict, "No."), 409, `{"error":"conflict","message":"No."}`},
		{"too large", fault.New(fault.TooLarge, "No."), 413, `{"error":"too_large","message":"No."}`},
		{"type", fault.New(fault.Unsupported, "No."), 415, `{"error":"unsupported_type","message":"No."}`},
		{"too many", fault.New(fault.TooMany, "No."), 429, `{"error":"too_many","message":"No."}`},
		{"busy", fault.New(fault.Busy, "No."), 503, `{"error":"busy","message":"No."}`},
		{"unavailable", fault.New(fault.Unavailable, "No."), 503, `{"error":"unavailable","message":"No."}`},
		{"wrapped", fmt.Errorf("save: %w", fault.New(fault.Conflict, "No.")), 409, `{"error":"conflict","message":"No."}`},
		{"client", &grant.Error{Code: grant.InvalidClient, Description: "No."}, 401, `{"error":"invalid_client","error_description":"No."}`},
		{"grant", &grant.Error{Code: grant.InvalidGrant, Description: "No."}, 400, `{"error":"invalid_grant","error_description":"No."}`},
		{"body over its cap", &http.MaxBytesError{Limit: 1}, 413, `{"error":"too_large","message":"The request body is too large."}`},
		{"a code nobody knows", fault.New("odd", "No."), 500, `{"error":"internal","message":"Something went wrong on our side."}`},
		{"anything else", errors.New("disk on fire"), 500, `{"error":"internal","message":"Something went wrong on our side."}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			respond.Error(w, httptest.NewRequest("GET", "/", nil), tt.err, slog.New(slog.DiscardHandler))
			if w.Code != tt.want || strings.TrimSpace(w.Body.String()) != tt.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.want, tt.body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestErrorLogsWhatItHides(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	w := httptest.NewRecorder()
	w.Header().Set(respond.RequestID, "abc")
	respond.Error(w, httptest.NewRequest("GET", "/", nil), errors.New("disk on fire"), log)
	if strings.Contains(w.Body.String(), "fire") {
		t.Errorf("the answer tells the cause: %s", w.Body)
	}
	if got := strings.Count(logged.String(), "\n"); got != 1 || !strings.Contains(logged.String(), "disk on fire") || !strings.Contains(logged.String(), "abc") {
		t.Errorf("logged %s", logged.String())
	}
	logged.Reset()
	respond.Error(w, httptest.NewRequest("GET", "/", nil), fault.Wrap(errors.New("why"), fault.Invalid, "No."), log)
	if logged.Len() != 0 {
		t.Errorf("a refusal was logged as a failure: %s", logged.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	respond.Error(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), fmt.Errorf("read: %w", context.Canceled), log)
	if logged.Len() != 0 {
		t.Errorf("a caller who left was logged as a failure: %s", logged.String())
	}
}

func TestErrorSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	err := fault.New(fault.TooMany, "No.").Retry(1500 * time.Millisecond)
	respond.Error(w, httptest.NewRequest("GET", "/", nil), err, slog.New(slog.DiscardHandler))
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q, want 2", got)
	}
}

func TestChallengeComesOnlyWhenTheHeaderWasUsed(t *testing.T) {
	t.Parallel()
	refused := &grant.Error{Code: grant.InvalidClient}
	for _, header := range []string{"", "Basic eDp5"} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		respond.Error(w, r, refused, slog.New(slog.DiscardHandler))
		if got := w.Header().Get("WWW-Authenticate") != ""; got != (header != "") {
			t.Errorf("with %q: challenge %v", header, got)
		}
	}
}

func TestJSONEscapesWhatABrowserCouldRun(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	respond.JSON(w, 200, map[string]string{"x": "<script>"})
	if strings.Contains(w.Body.String(), "<") {
		t.Errorf("got %s", w.Body)
	}
	var back map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &back); err != nil || back["x"] != "<script>" {
		t.Errorf("got %v, %v", back, err)
	}
}
