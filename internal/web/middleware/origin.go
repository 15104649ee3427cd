package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

var (
	errTwice = errors.New("Origin or Sec-Fetch-Site is there twice")
	errNull  = errors.New("Origin is null")
	errPlain = errors.New("Origin has http where the page has https")
	errMute  = errors.New("session cookie, a request that any form can send, and neither Sec-Fetch-Site nor Origin")
)

// CrossOrigin returns nil, or the refusal of an unsafe request that a page of
// another origin may have sent. trusted names further origins that may; nil trusts
// none. The rows are tried from the top; "-" is anything:
//
//	method             Sec-Fetch-Site     Origin        and                      verdict
//	GET HEAD OPTIONS   -                  -             -                        passes
//	-                  twice              or twice      -                        refused
//	-                  -                  null          -                        refused
//	-                  -                  trusted       -                        passes
//	-                  same-origin none   -             -                        passes
//	-                  any other          -             -                        refused
//	-                  absent             ours          -                        passes
//	-                  absent             any other     -                        refused
//	not POST           absent             absent        -                        passes
//	POST               absent             absent        no session cookie        passes
//	POST               absent             absent        application/json         passes
//	POST               absent             absent        X-Requested-With         passes
//	POST               absent             absent        Referer ours or trusted  passes
//	POST               absent             absent        none of these            refused
//
// The last rows are for browsers so old that they say nothing. No page can make
// one of them send another method, JSON or a header of ours to another origin
// without asking first (CORS), and a program has no reason to send the cookie with
// a form. Without the cookie there is nothing to ride on; a login is guarded by
// its form's code, or by being JSON. A page with "Referrer-Policy: no-referrer"
// sends null with its own forms: it must say same-origin.
func CrossOrigin(r *http.Request, trusted func(context.Context, string) bool) error {
	err := judge(r, func(origin string) bool {
		return trusted != nil && origin != "" && trusted(r.Context(), origin)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errMute):
		return fault.Wrap(err, fault.Forbidden, "Nothing tells where this request comes from. Send the header Origin or X-Requested-With along.")
	}
	return fault.Wrap(err, fault.Forbidden, "The request comes from another origin.")
}

// judge is the table in the comment of CrossOrigin.
func judge(r *http.Request, trusted func(origin string) bool) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	h := r.Header
	site, origin := h.Get("Sec-Fetch-Site"), h.Get("Origin")
	switch {
	case len(h.Values("Sec-Fetch-Site")) > 1 || len(h.Values("Origin")) > 1:
		return errTwice
	case origin == "null":
		return errNull
	case trusted(origin):
		return nil
	case site == "" && origin == "":
		return mute(r, trusted)
	case site == "" && downgraded(r, origin):
		return errPlain
	}
	var rule http.CrossOriginProtection
	return rule.Check(r)
}

// mute judges a request that says nothing of where it comes from.
func mute(r *http.Request, trusted func(origin string) bool) error {
	if r.Method != http.MethodPost || !hasSession(r) || hasType(r, "application/json") || r.Header.Get("X-Requested-With") != "" {
		return nil
	}
	u, err := url.Parse(one(r, "Referer"))
	if err != nil || u.Host == "" {
		return errMute
	}
	from := u.Scheme + "://" + u.Host
	if trusted(from) || strings.EqualFold(u.Host, r.Host) && !downgraded(r, from) {
		return nil
	}
	return errMute
}

// hasSession counts a cookie that cannot be read as one.
func hasSession(r *http.Request) bool {
	values, err := cookies(r, CookieName)
	return err != nil || len(values) > 0
}

// downgraded reports whether a page came in the clear to a server that answers
// over TLS: whoever sits on the network can have written it. On this machine
// nobody sits in between.
func downgraded(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "https" || client.IsLoopback(u.Hostname()) {
		return false
	}
	s, inside := r.Context().Value(scopeKey{}).(*scope)
	return r.TLS != nil || inside && s.secure
}

// SameOrigin is CrossOrigin as a middleware, for a surface that speaks JSON: it
// refuses whether a cookie came or not, because a login is worth forging too.
func SameOrigin(trusted func(context.Context, string) bool, log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := CrossOrigin(r, trusted); err != nil {
				respond.Error(w, r, err, log)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// one returns the value of a header that is there once, else "".
func one(r *http.Request, name string) string {
	all := r.Header.Values(name)
	if len(all) != 1 {
		return ""
	}
	return all[0]
}
