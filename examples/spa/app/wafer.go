package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
)

// mostRead is the most that is read of an answer, in bytes.
const mostRead = 64 << 10

// errUpstream is what the page learns of Wafer or orders being away.
var errUpstream = &problem{status: http.StatusBadGateway, Code: "unavailable", Message: "Wafer does not answer at the moment. You are still signed in; try again in a little while."}

// tokens are what a login or a refresh gives.
type tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

func (t tokens) usable() bool { return t.Access != "" && t.Refresh != "" && t.ExpiresIn > 0 }

// errand is a request to Wafer or to orders.
type errand struct {
	method, url string
	cookie      string        // Wafer's session cookie
	bearer      string        // access token
	asClient    bool          // with our own id and secret
	person      *http.Request // whose browser is behind it; nil: not told
	json        any
	form        url.Values
}

// reply is an answer that arrived whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// code is what an answer calls its failure.
func (r reply) code() string {
	var out struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(r.body, &out) != nil {
		return ""
	}
	return out.Error
}

// run sends the request. An error means that no whole answer came.
func (s *spa) run(ctx context.Context, e errand) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	req, err := s.request(ctx, e)
	if err != nil {
		return reply{}, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, mostRead+1))
	if err == nil && len(b) > mostRead {
		err = errors.New("the answer is over 64 KiB")
	}
	return reply{res.StatusCode, res.Header, b}, err
}

func (s *spa) request(ctx context.Context, e errand) (*http.Request, error) {
	var body []byte
	kind := ""
	switch {
	case e.json != nil:
		b, err := json.Marshal(e.json)
		if err != nil {
			return nil, err
		}
		body, kind = b, "application/json"
	case e.form != nil:
		body, kind = []byte(e.form.Encode()), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(ctx, e.method, e.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "wafer-example-spa")
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	if e.cookie != "" {
		h.Set("Cookie", verify.CookieName+"="+e.cookie)
	}
	if e.bearer != "" {
		h.Set("Authorization", "Bearer "+e.bearer)
	}
	if e.asClient {
		// Both halves are form-encoded inside Basic (RFC 6749 section 2.3.1).
		req.SetBasicAuth(url.QueryEscape(s.ClientID), url.QueryEscape(s.ClientSecret))
	}
	if e.person != nil {
		// Wafer lists browsers by name and counts failures by address; it believes
		// the address from trusted proxies only.
		h.Set("User-Agent", e.person.UserAgent())
		if host, _, err := net.SplitHostPort(e.person.RemoteAddr); err == nil {
			h.Set("X-Forwarded-For", host)
		}
	}
	return req, nil
}

// unavailable logs why the page is told no more than that.
func (s *spa) unavailable(ctx context.Context, doing string, got reply, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Logger.WarnContext(ctx, "no useful answer", "doing", doing, "status", got.status, "code", got.code(), "error", err)
	return errUpstream
}

// credentials are what the sign-in form sends.
type credentials struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

// begin signs somebody in at Wafer. The session of replaces, if any, ends there in
// the same step.
func (s *spa) begin(r *http.Request, in credentials, replaces *entry) (*entry, error) {
	e := errand{method: http.MethodPost, url: s.Issuer + "/session", person: r, json: map[string]string{
		"login": in.Login, "password": in.Password, "client_id": s.ClientID, "api": s.API,
	}}
	if replaces != nil {
		e.cookie = replaces.cookie
	}
	asked := s.Now()
	got, err := s.run(r.Context(), e)
	if err != nil || got.status != http.StatusCreated {
		return nil, s.noLogin(r.Context(), got, err)
	}
	var out struct {
		Session struct {
			User      string    `json:"user"`
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"session"`
		tokens
	}
	begun := &entry{cookie: sessionCookie(got.header)}
	err = json.Unmarshal(got.body, &out)
	if err != nil || !out.usable() || begun.cookie == "" || out.Session.User == "" {
		s.end(r.Context(), begun.cookie)
		return nil, s.unavailable(r.Context(), "sign in", got, errors.Join(err, errors.New("session, cookie or tokens are missing in the answer")))
	}
	begun.user, begun.ends = out.Session.User, out.Session.ExpiresAt
	begun.take(out.tokens, asked)
	return begun, nil
}

// noLogin says in our own words why nobody was signed in.
func (s *spa) noLogin(ctx context.Context, got reply, err error) error {
	code := got.code()
	switch {
	case err != nil:
	case got.status == http.StatusUnauthorized && code == "unauthenticated":
		return &problem{status: http.StatusUnauthorized, Code: "wrong_login", Message: "Wrong login or password."}
	case got.status == http.StatusTooManyRequests:
		return &problem{status: http.StatusTooManyRequests, Code: "too_many", Message: "Too many tries. Wait a little, then try again."}
	case code == "invalid_scope":
		return &problem{status: http.StatusForbidden, Code: "forbidden", Message: "This account may not use the application."}
	case code == "invalid_request":
		return &problem{status: http.StatusBadRequest, Code: code, Message: "That is no login or no password."}
	}
	if err := s.unavailable(ctx, "sign in", got, err); !errors.Is(err, errUpstream) {
		return err
	}
	return &problem{status: errUpstream.status, Code: errUpstream.Code, Message: "Wafer does not answer at the moment, so nobody can sign in. Try again in a little while."}
}

// sessionCookie returns the session cookie that Wafer sets, "" for none.
func sessionCookie(h http.Header) string {
	for _, line := range h["Set-Cookie"] {
		if v, ok := strings.CutPrefix(line, verify.CookieName+"="); ok {
			v, _, _ = strings.Cut(v, ";")
			return v
		}
	}
	return ""
}

// renew uses a refresh token. A lost answer is no loss: the same token, shown again
// soon, gets the same successor.
func (s *spa) renew(ctx context.Context, refresh string) (tokens, error) {
	got, err := s.run(ctx, errand{method: http.MethodPost, url: s.Issuer + "/oauth/token", asClient: true, form: url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refresh},
	}})
	var out tokens
	if err == nil && got.status == http.StatusOK {
		if err = json.Unmarshal(got.body, &out); err == nil && out.usable() {
			return out, nil
		}
	}
	switch got.code() {
	case "invalid_grant":
		return tokens{}, errOver
	case "invalid_scope", "invalid_target", "unauthorized_client": // what was allowed at sign-in is allowed no more
		return tokens{}, errForbidden
	}
	return tokens{}, s.unavailable(ctx, "refresh", got, err)
}

// person is who Wafer says the session belongs to.
type person struct {
	User      string    `json:"user"`
	Login     string    `json:"login"`
	AuthTime  time.Time `json:"auth_time"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (s *spa) who(ctx context.Context, e *entry) (person, error) {
	got, err := s.run(ctx, errand{method: http.MethodGet, url: s.Issuer + "/session", cookie: e.cookie})
	var out struct {
		Session person `json:"session"`
	}
	switch {
	case err == nil && got.status == http.StatusUnauthorized:
		return person{}, errOver
	case err == nil && got.status == http.StatusOK:
		if err = json.Unmarshal(got.body, &out); err == nil && out.Session.Login != "" {
			return out.Session, nil
		}
	}
	return person{}, s.unavailable(ctx, "ask who it is", got, err)
}

// end ends the session of Wafer's cookie, and reports whether it has ended.
func (s *spa) end(ctx context.Context, cookie string) bool {
	if cookie == "" {
		return true
	}
	got, err := s.run(ctx, errand{method: http.MethodDelete, url: s.Issuer + "/session", cookie: cookie})
	if err == nil && (got.status == http.StatusNoContent || got.status == http.StatusUnauthorized) {
		return true
	}
	s.Logger.WarnContext(ctx, "session was not ended at Wafer", "status", got.status, "error", err)
	return false
}

// endOthers ends every other session of the person: those of other browsers, and
// of other applications.
func (s *spa) endOthers(ctx context.Context, cookie string) (ended int, err error) {
	got, err := s.run(ctx, errand{method: http.MethodGet, url: s.Issuer + "/sessions", cookie: cookie})
	var rows struct {
		Items []struct {
			ID      string `json:"id"`
			Current bool   `json:"current"`
		} `json:"items"`
	}
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("list sessions: status %d", got.status)
	}
	if err == nil {
		err = json.Unmarshal(got.body, &rows)
	}
	if err != nil {
		return 0, err
	}
	for _, one := range rows.Items {
		if one.Current {
			continue
		}
		got, failed := s.run(ctx, errand{method: http.MethodDelete, url: s.Issuer + "/sessions/" + url.PathEscape(one.ID), cookie: cookie})
		switch {
		case failed != nil:
			err = errors.Join(err, failed)
		case got.status == http.StatusNoContent:
			ended++
		case got.status != http.StatusNotFound: // 404: it ended meanwhile
			err = errors.Join(err, fmt.Errorf("end session: status %d", got.status))
		}
	}
	return ended, err
}
