package respond

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
)

// RequestID is the header, of request and answer, that holds the request's id.
const RequestID = "X-Request-Id"

// Internal is the code, and the "error" member, of an error that is not for the
// caller to know.
const Internal = "internal"

// Refusal is what may be shown of an error.
type Refusal struct {
	Status     int
	Code       string // the "error" member
	Message    string // a whole sentence, safe to show to anybody
	RetryAfter time.Duration
	OAuth      bool   // the code is one of RFC 6749
	Login      string // where to sign in, "" for no hint
}

var statuses = map[fault.Code]int{
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.TooMany:         http.StatusTooManyRequests,
	fault.Busy:            http.StatusServiceUnavailable,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.Unsupported:     http.StatusUnsupportedMediaType,
	fault.Unavailable:     http.StatusServiceUnavailable,
}

// Explain says what may be shown of err, for a surface that does not answer in
// JSON. Whatever is not a refusal is 500 and Internal.
func Explain(err error) Refusal {
	var f *fault.Error
	var g *grant.Error
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &f) && statuses[f.Code] != 0:
		return Refusal{Status: statuses[f.Code], Code: string(f.Code), Message: f.Public, RetryAfter: f.RetryAfter}
	case errors.As(err, &g):
		return Refusal{Status: oauthStatus(g.Code), Code: g.Code, Message: g.Description, OAuth: true}
	case errors.As(err, &big):
		return Refusal{Status: http.StatusRequestEntityTooLarge, Code: string(fault.TooLarge), Message: "The request body is too large."}
	}
	return Refusal{Status: http.StatusInternalServerError, Code: Internal, Message: "Something went wrong on our side."}
}

// oauthStatus follows RFC 6749 section 5.2: 400, but 401 for a client that did
// not prove who it is.
func oauthStatus(code string) int {
	if code == grant.InvalidClient {
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

// Error writes err, as Refuse does. An error that is no refusal is logged here,
// once. The caller returns afterwards.
func Error(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger) {
	Log(w, r, err, log)
	Refuse(w, r, Explain(err))
}

type body struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Login   string `json:"login,omitempty"`
}

type oauthBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// Headers sets the headers that go with a refusal, for a surface that writes the
// body itself.
func Headers(w http.ResponseWriter, r *http.Request, a Refusal) {
	if a.RetryAfter > 0 {
		seconds := int64((a.RetryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if a.Code == grant.InvalidClient && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="wafer", charset="UTF-8"`) // RFC 6749 section 5.2
	}
}

// Log logs err, if it is one that nobody will be told of. A caller who has left
// is not an error.
func Log(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger) {
	if Explain(err).Status != http.StatusInternalServerError {
		return
	}
	level := slog.LevelError
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		level = slog.LevelDebug
	}
	log.Log(r.Context(), level, "request failed", "request_id", w.Header().Get(RequestID), "route", r.Pattern, "cause", err.Error())
}

// JSON writes v. A value that cannot be written is a bug: it panics before
// anything is sent.
func JSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	body = append(body, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have left
}

// NoContent writes 204.
func NoContent(w http.ResponseWriter) {
	w.WriteHeader(http.StatusNoContent)
}

// Handler is a handler that reads, asks and answers, and leaves every error to
// Error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Serve makes an http.Handler of h.
func Serve(log *slog.Logger, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			Error(w, r, err, log)
		}
	})
}
