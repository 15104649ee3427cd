package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Path is where transmitters push, followed by their id.
const Path = "/receiver/"

// Events takes what was pushed. See receiver.Service.
type Events interface {
	Receive(ctx context.Context, p receiver.Push) error
}

// Config is what a Surface is made of. All fields are needed.
type Config struct {
	Events Events
	Log    *slog.Logger
}

// Surface serves the route.
type Surface struct{ Config }

// New returns a surface.
func New(c Config) *Surface { return &Surface{c} }

// Mount adds the route to mux.
func (s *Surface) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST "+Path+"{transmitter}", s.push)
}

// mediaType is that of a pushed token (RFC 8935 section 2.1).
const mediaType = "application/secevent+jwt"

func (s *Surface) push(w http.ResponseWriter, r *http.Request) {
	err := s.serve(r)
	var refused *receiver.Error
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &refused):
		s.Log.InfoContext(r.Context(), "security event refused", "transmitter", r.PathValue("transmitter"), "err", refused.Code, "why", refused.Description)
		w.Header().Set("Content-Language", "en") // RFC 8935 section 2.3
		respond.JSON(w, http.StatusBadRequest, failure{refused.Code, refused.Description})
	default:
		respond.Error(w, r, err, s.Log)
	}
}

// failure is the body of a refusal (RFC 8935 section 2.3).
type failure struct {
	Code        string `json:"err"`
	Description string `json:"description"`
}

func (s *Surface) serve(r *http.Request) error {
	secret, ok := bearer(r)
	if !ok {
		return &receiver.Error{Code: receiver.AuthenticationFailed, Description: "Send the secret as a bearer token in the Authorization header."}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != mediaType || len(r.Header["Content-Type"]) != 1 {
		return &receiver.Error{Code: receiver.InvalidRequest, Description: "Send the token as " + mediaType + "."}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return s.Events.Receive(r.Context(), receiver.Push{Transmitter: r.PathValue("transmitter"), Secret: secret, Token: string(body)})
}

// secretMost is the longest secret that is looked at, in bytes.
const secretMost = 1024

// bearer is the one bearer token of a request.
func bearer(r *http.Request) (string, bool) {
	header, err := middleware.Authorization(r)
	token := middleware.Bearer(header)
	return token, err == nil && token != "" && len(token) <= secretMost
}
