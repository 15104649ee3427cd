package receiver_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/receiver"
	surface "github.com/wafer-auth/wafer/internal/web/receiver"
)

var quiet = slog.New(slog.DiscardHandler)

// events remembers what came, and answers with err.
type events struct {
	got receiver.Push
	err error
}

func (e *events) Receive(_ context.Context, p receiver.Push) error {
	e.got = p
	return e.err
}

func push(t *testing.T, e *events, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	surface.New(surface.Config{Events: e, Log: quiet}).Mount(mux)
	r := httptest.NewRequest("POST", "/receiver/idp", strings.NewReader("a.b.c"))
	r.Header.Set("Content-Type", "application/secevent+jwt")
	r.Header.Set("Authorization", "Bearer the-secret")
	change(r)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestPushIsHandedOnAndAccepted(t *testing.T) {
	t.Parallel()
	e := &events{}
	w := push(t, e, func(*http.Request) {})
	if w.Code != 202 || w.Body.Len() > 0 || e.got != (receiver.Push{Transmitter: "idp", Secret: "the-secret", Token: "a.b.c"}) {
		t.Errorf("%d %s, handed on %+v", w.Code, w.Body, e.got)
	}
}

func TestPushIsRefusedInTheWordsOfTheRFC(t *testing.T) {
	t.Parallel()
	none := func(*http.Request) {}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		err    error
		status int
		code   string
	}{
		{"no secret", func(r *http.Request) { r.Header.Del("Authorization") }, nil, 400, "authentication_failed"},
		{"two secrets", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, nil, 400, "authentication_failed"},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, nil, 400, "authentication_failed"},
		{"empty secret", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, nil, 400, "authentication_failed"},
		{"form", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, nil, 400, "invalid_request"},
		{"any JWT", func(r *http.Request) { r.Header.Set("Content-Type", "application/jwt") }, nil, 400, "invalid_request"},
		{"no type", func(r *http.Request) { r.Header.Del("Content-Type") }, nil, 400, "invalid_request"},
		{"refused", none, &receiver.Error{Code: receiver.InvalidIssuer, Description: "Why."}, 400, "invalid_issuer"},
		{"try again", none, fault.New(fault.Unavailable, "Later."), 503, ""},
		{"broken", none, errors.New("secret detail"), 500, ""},
		{"large", func(r *http.Request) { r.Body = http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("a.b.c")), 2) }, nil, 413, ""},
		{"read", func(r *http.Request) { r.Method = "GET" }, nil, 405, ""},
	} {
		w := push(t, &events{err: tt.err}, tt.change)
		var body struct{ Err, Description string }
		if tt.code != "" && (json.Unmarshal(w.Body.Bytes(), &body) != nil || body.Description == "" || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("%s: %v %s", tt.name, w.Header(), w.Body)
		}
		if w.Code != tt.status || body.Err != tt.code || strings.Contains(w.Body.String(), "detail") {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}
