package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
)

// person is who Wafer says the cookie belongs to.
type person struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Login     string    `json:"login"`
	ExpiresAt time.Time `json:"expires_at"`
	AuthTime  time.Time `json:"auth_time"`
	AMR       []string  `json:"amr"`
}

// tokens are what a login, a swap or a refresh gives.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// callOrders shows one credential to the orders API.
func (s *shop) callOrders(ctx context.Context, e errand) *exchange {
	e.method, e.url = http.MethodGet, s.Orders+"/orders"
	x, _ := s.run(ctx, e)
	return x
}

// whoIs asks Wafer whom the cookie belongs to; nil and the reason when it does
// not say.
func (s *shop) whoIs(ctx context.Context, cookie string) (*person, *exchange) {
	x, got := s.run(ctx, errand{method: http.MethodGet, url: s.Issuer + "/session", cookie: cookie})
	var out struct {
		Session person `json:"session"`
	}
	if !x.read(got, &out) || out.Session.ID == "" {
		return nil, x
	}
	return &out.Session, x
}

// swap asks Wafer for a JWT in exchange for the cookie.
func (s *shop) swap(ctx context.Context, cookie string) (tokens, *exchange) {
	return s.tokens(ctx, errand{
		url: s.Issuer + "/session/token", cookie: cookie,
		body: mustJSON(map[string]string{"client_id": s.ClientID, "api": s.API}), bodyType: "application/json",
	})
}

// logIn signs somebody in. The session of the cookie, if any, ends with it.
func (s *shop) logIn(ctx context.Context, t turn) (tokens, *exchange, []string) {
	e := errand{
		method: http.MethodPost, url: s.Issuer + "/session", cookie: t.cookie, device: t.device, bodyType: "application/json",
		body: mustJSON(map[string]string{"login": t.login, "password": t.secret, "client_id": s.ClientID, "api": s.API}),
	}
	x, got := s.run(ctx, e)
	var out tokens
	x.read(got, &out)
	x.hide(out)
	return out, x, ofWafer(got.header)
}

// renew uses the refresh token.
func (s *shop) renew(ctx context.Context, token string) (tokens, *exchange) {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {s.ClientID}, "refresh_token": {token}}
	return s.tokens(ctx, errand{url: s.Issuer + "/oauth/token", body: []byte(form.Encode()), bodyType: "application/x-www-form-urlencoded"})
}

func (s *shop) tokens(ctx context.Context, e errand) (tokens, *exchange) {
	e.method = http.MethodPost
	x, got := s.run(ctx, e)
	var out tokens
	if x.read(got, &out) && out.Access == "" {
		x.Trouble = "The answer holds no token."
	}
	x.hide(out)
	return out, x
}

// end ends the session of the cookie.
func (s *shop) end(ctx context.Context, cookie string) (*exchange, []string) {
	x, got := s.run(ctx, errand{method: http.MethodDelete, url: s.Issuer + "/session", cookie: cookie})
	return x, ofWafer(got.header)
}

// read reads a good answer into out.
func (e *exchange) read(got reply, out any) bool {
	if !e.OK() || got.body == nil {
		return false
	}
	if json.Unmarshal(got.body, out) != nil {
		e.Trouble = "The answer cannot be read."
		return false
	}
	return true
}

// hide takes the tokens out of what is shown of an answer.
func (e *exchange) hide(t tokens) { e.Answer = redact(e.Answer, t.Access, t.Refresh) }

// ofWafer picks the cookies that Wafer sets.
func ofWafer(h http.Header) []string {
	var lines []string
	for _, line := range h["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		if name == verify.CookieName || name == verify.CookieName+"-device" {
			lines = append(lines, line)
		}
	}
	return lines
}

// sessionOf returns the session cookie's value in what Wafer sets.
func sessionOf(lines []string) string {
	for _, line := range lines {
		if v, ok := strings.CutPrefix(line, verify.CookieName+"="); ok {
			v, _, _ = strings.Cut(v, ";")
			return v
		}
	}
	return ""
}

func mustJSON(v map[string]string) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings can always be written
	}
	return b
}
