package httpauth

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/verify"
)

// retryAfter is in seconds: an issuer that restarts is back by then.
const retryAfter = "1"

type refused struct {
	err    error
	scope  string        // what the route needs
	scheme verify.Scheme // how the caller's token came
}

// answer is one row of the table in the package comment.
type answer struct {
	status int
	code   string // in the body
	auth   string // parameters of the challenge after the realm; "-" for no challenge
}

func (f refused) answer() answer {
	switch {
	case errors.Is(f.err, verify.ErrNoCredential):
		// No error code for a caller who did not try (RFC 6750 section 3.1).
		return answer{http.StatusUnauthorized, "credential_required", ""}
	case errors.Is(f.err, verify.ErrScope):
		return answer{http.StatusForbidden, "insufficient_scope", `, error="insufficient_scope", scope="` + f.scope + `"`}
	case errors.Is(f.err, verify.ErrStepUp):
		return answer{http.StatusUnauthorized, "insufficient_user_authentication", `, error="insufficient_user_authentication"` + stepUp(f.err)}
	case errors.Is(f.err, verify.ErrProofNonce):
		return answer{http.StatusUnauthorized, "use_dpop_nonce", `, error="use_dpop_nonce"`}
	case errors.Is(f.err, verify.ErrProof), errors.Is(f.err, verify.ErrProofReplayed):
		return answer{http.StatusUnauthorized, "invalid_dpop_proof", `, error="invalid_dpop_proof"`}
	case errors.Is(f.err, verify.ErrCrossOrigin):
		return answer{http.StatusForbidden, "cross_origin", "-"}
	case errors.Is(f.err, errCookieTooLarge):
		return answer{http.StatusRequestHeaderFieldsTooLarge, "invalid_request", "-"}
	case errors.Is(f.err, verify.ErrAmbiguous):
		return answer{http.StatusBadRequest, "invalid_request", `, error="invalid_request"`}
	case errors.Is(f.err, verify.ErrUnavailable), errors.Is(f.err, verify.ErrStale):
		return answer{http.StatusServiceUnavailable, "unavailable", "-"}
	}
	return answer{http.StatusUnauthorized, "invalid_token", `, error="invalid_token"`}
}

// refuse answers by the table and writes the one log line.
func (a *Auth) refuse(w http.ResponseWriter, r *http.Request, f refused) {
	ans := f.answer()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if ans.auth != "-" {
		a.challengeFor(h, f, ans)
	}
	if a.leads(r, f.err) {
		a.record(r, f.err, a.lead(w, r))
		return
	}
	if ans.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	h.Set("Content-Type", "application/json")
	a.record(r, f.err, ans.status)
	w.WriteHeader(ans.status)
	_, _ = w.Write(a.body(ans)) // a caller who went away needs no answer
}

// challengeFor says what would be let in. The scheme that a caller tried is named with
// what was wrong; DPoP is offered where proofs can be checked (RFC 9449 section 7.1),
// and named as well where a token is refused because nothing was proved.
func (a *Auth) challengeFor(h http.Header, f refused, ans answer) {
	plain := a.challenge + a.metadata
	if f.scope != "" && ans.auth == "" {
		plain += `, scope="` + f.scope + `"` // RFC 6750 section 3
	}
	bearer, dpop := "Bearer "+plain+ans.auth, "DPoP "+plain+`, algs="`+algorithms+`"`+ans.auth
	a.nextNonce(h)
	switch {
	case !a.possession.Checks():
		h.Set("WWW-Authenticate", bearer)
	case f.scheme == verify.SchemeDPoP:
		h.Set("WWW-Authenticate", dpop)
	case ans.auth == "" || errors.Is(f.err, verify.ErrBinding):
		h["Www-Authenticate"] = []string{bearer, dpop}
	default:
		h.Set("WWW-Authenticate", bearer)
	}
}

// nextNonce tells what the next proof must carry (RFC 9449 section 8.2).
func (a *Auth) nextNonce(h http.Header) {
	if n := a.possession.Nonce(); n != "" {
		h.Set("DPoP-Nonce", n)
	}
}

// body tells a script where people sign in, when it is a 401 and we know.
func (a *Auth) body(ans answer) []byte {
	login := ""
	if ans.status == http.StatusUnauthorized && a.signIn != "" {
		text, err := json.Marshal(a.signIn)
		if err != nil {
			panic(err) // a string always marshals
		}
		login = `,"login":` + string(text)
	}
	return []byte(`{"error":"` + ans.code + `"` + login + "}\n")
}

func (a *Auth) record(r *http.Request, err error, status int) {
	attrs := []slog.Attr{
		slog.String("reason", verify.Reason(err)),
		slog.Int("status", status),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
	}
	if errors.Is(err, verify.ErrUnavailable) {
		attrs = append(attrs, slog.String("cause", err.Error()))
	}
	a.logger().LogAttrs(r.Context(), slog.LevelInfo, "request refused", attrs...)
}

// quote makes a quoted-string of s (RFC 9110 section 5.6.4), or of instead when
// s is empty. What cannot stand in a header is left out.
func quote(s, instead string) string {
	if s == "" {
		s = instead
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c <= '~':
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
