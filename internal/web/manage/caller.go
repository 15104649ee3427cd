package manage

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

type contextKey struct{}

// Local marks a request that came over the local socket, which only the owner of
// the data folder can open. It holds every scope, as actor "cli". Nobody but
// internal/app calls it: no header or address may ever lead here.
func Local(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, true)
}

// caller is who calls, and with which scopes.
type caller struct {
	actor  string // user id, client id or "cli"
	scopes []string
	local  bool
}

func (c caller) has(scopes ...string) bool {
	for _, s := range scopes {
		if !slices.Contains(c.scopes, s) {
			return false
		}
	}
	return true
}

// full reports whether the caller holds every management scope.
func (c caller) full() bool { return c.has(api.ManagementScopes...) }

// by is the caller as the rules know them: they keep a delegate from giving, or
// acting on, more than their own.
func (c caller) by() admin.By {
	if c.local {
		return admin.ByCLI()
	}
	return admin.By{Actor: c.actor, Scopes: c.scopes}
}

var errAbove = fault.New(fault.Forbidden, "This needs every scope of the management API.")

// caller finds out who calls. Exactly one Authorization header of scheme Bearer
// counts; cookies and parameters do not.
func (s *Surface) caller(w http.ResponseWriter, r *http.Request) (caller, error) {
	if local, _ := r.Context().Value(contextKey{}).(bool); local {
		return caller{actor: audit.ByCLI, scopes: api.ManagementScopes, local: true}, nil
	}
	header, err := middleware.Authorization(r)
	if err != nil {
		challenge(w, `error="invalid_request"`)
		return caller{}, err
	}
	token := middleware.Bearer(header)
	if token == "" {
		challenge(w, "") // RFC 6750 section 3.1: no error code when nothing was sent
		return caller{}, fault.New(fault.Unauthenticated, "Send a management access token in the Authorization header.")
	}
	m, err := s.Tokens.Manager(r.Context(), token)
	if fault.Is(err, fault.Unauthenticated) {
		challenge(w, `error="invalid_token"`)
	}
	if err != nil {
		return caller{}, err
	}
	return caller{actor: m.Subject, scopes: m.Scopes}, nil
}

func challenge(w http.ResponseWriter, more string) {
	text := `Bearer realm="wafer"`
	if more != "" {
		text += ", " + more
	}
	w.Header().Set("WWW-Authenticate", text)
}

// admit refuses a caller who lacks a scope of the row.
func admit(w http.ResponseWriter, c caller, row route) error {
	if c.has(row.scopes...) {
		return nil
	}
	want := strings.Join(row.scopes, " ")
	challenge(w, `error="insufficient_scope", scope="`+want+`"`)
	return fault.New(fault.Forbidden, "This needs the scope "+want+".")
}
