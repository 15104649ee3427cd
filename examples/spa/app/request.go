package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// mostBody is the most that the page may send, in bytes.
const mostBody = 8 << 10

// problem is a refusal as the page reads it. Login is where to sign in; it is
// there when nobody is signed in (any more).
type problem struct {
	status  int
	Code    string `json:"error"`
	Message string `json:"message"`
	Login   string `json:"login,omitempty"`
}

func (p *problem) Error() string { return p.Code }

func signedOut(message string) error {
	return &problem{status: http.StatusUnauthorized, Code: "signed_out", Message: message, Login: "/#sign-in"}
}

var errOver = signedOut("Your session is over. Sign in again.")

var (
	errOrigin    = &problem{status: http.StatusForbidden, Code: "cross_origin", Message: "The request comes from another site. Nothing was done."}
	errNotJSON   = &problem{status: http.StatusUnsupportedMediaType, Code: "unsupported_type", Message: "Send application/json."}
	errBody      = &problem{status: http.StatusBadRequest, Code: "invalid_request", Message: "The request cannot be read."}
	errTooLarge  = &problem{status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: "The request is too large."}
	errCookies   = &problem{status: http.StatusBadRequest, Code: "two_cookies", Message: "The browser sent two session cookies, and nobody can say which one counts. Clear the cookies of this site."}
	errForbidden = &problem{status: http.StatusForbidden, Code: "forbidden", Message: "You are signed in, but you may not see orders."}
	errInternal  = &problem{status: http.StatusInternalServerError, Code: "internal", Message: "Something is wrong here. The log has the cause."}
)

// api admits a request, lets do answer it, and writes what do refuses.
func (s *spa) api(do func(*spa, http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.admit(w, r)
		if err == nil {
			err = do(s, w, r)
		}
		if err == nil || errors.Is(err, context.Canceled) { // the browser has left
			return
		}
		var p *problem
		if !errors.As(err, &p) {
			s.Logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
			p = errInternal
		}
		write(w, p.status, p)
	})
}

// admit lets only our own page in. Reading is refused too, although no other
// origin could see the answer: a request is work and renews tokens. SameSite is
// not enough: every port of a host, and every host of a site, is the same site.
func (s *spa) admit(w http.ResponseWriter, r *http.Request) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return errOrigin
	}
	if s.sameOrigin.Check(r) != nil {
		return errOrigin
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	// No form can send this type, and a script elsewhere must ask first with a
	// preflight, which nobody answers here.
	kinds := r.Header.Values("Content-Type")
	if len(kinds) != 1 {
		return errNotJSON
	}
	if kind, _, err := mime.ParseMediaType(kinds[0]); err != nil || kind != "application/json" {
		return errNotJSON
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostBody)
	return nil
}

// read reads the body: one JSON object, known members only.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		_, err = d.Token()
	}
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF) && d.InputOffset() > 0:
		return nil
	case errors.As(err, &large):
		return errTooLarge
	}
	return errBody
}

func write(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs can always be written
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the browser may have left
}

// cookieName is the one cookie of the application. Browsers keep the promise of
// its prefix: set by a header over a secure channel, for this host alone, and out
// of the reach of scripts, for writing too.
const cookieName = "__Host-Http-spa"

// seat finds the entry of the browser. shown says whether it brought a cookie at
// all; an entry that is not there (any more) is nil.
func (s *spa) seat(r *http.Request) (e *entry, shown bool, err error) {
	value := ""
	// The raw header, names compared byte for byte: net/http trims names, so that
	// a sibling host could plant one that browsers refuse under the real name.
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			v, ok := strings.CutPrefix(strings.TrimPrefix(pair, " "), cookieName+"=")
			if !ok {
				continue
			}
			if shown {
				return nil, true, errCookies
			}
			value, shown = v, true
		}
	}
	if !shown {
		return nil, false, nil
	}
	return s.sessions.find(value), true, nil
}

func setCookie(w http.ResponseWriter, value string) {
	c := &http.Cookie{Name: cookieName, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
