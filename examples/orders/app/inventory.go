package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// stock asks the inventory service. It does so as itself, with a token of its own
// (client_credentials): inventory learns that orders is asking, not for whom. To
// carry the person along, a service would exchange the caller's token for one
// that names both; that comes in a later release.
type stock struct {
	url, audience              string
	tokenURL, client, password string
	http                       *http.Client

	mu    sync.Mutex
	token string
	until time.Time // when to get a new one
}

func newStock(c Config) *stock {
	return &stock{
		url: strings.TrimSuffix(c.Inventory, "/") + "/inventory", audience: c.InventoryAudience,
		tokenURL: c.Issuer + "/oauth/token", client: c.ClientID, password: c.ClientSecret,
		http: &http.Client{Timeout: 3 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a token goes nowhere but where it is meant for
		}},
	}
}

// counts returns how many of each item there are. When the token at hand is
// refused it asks once more with a fresh one: it may have been taken back, or its
// key.
func (s *stock) counts(ctx context.Context) (map[string]int, error) {
	counts, status, err := s.call(ctx)
	if err == nil && status == http.StatusUnauthorized {
		s.drop()
		counts, status, err = s.call(ctx)
	}
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("inventory answered %d", status)
	}
	return counts, err
}

func (s *stock) call(ctx context.Context) (counts map[string]int, status int, err error) {
	token, err := s.bearer(ctx)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	var body struct {
		Stock map[string]int `json:"stock"`
	}
	status, err = s.do(req, &body)
	return body.Stock, status, err
}

// bearer returns the token at hand, or a new one half a minute before it expires.
// One caller fetches, the others wait for it.
func (s *stock) bearer(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {s.audience}, "scope": {"inventory:read"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Both halves are form-encoded inside Basic (RFC 6749 section 2.3.1).
	req.SetBasicAuth(url.QueryEscape(s.client), url.QueryEscape(s.password))
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Error       string `json:"error"`
	}
	status, err := s.do(req, &body)
	if err != nil {
		return "", fmt.Errorf("get a token for inventory: %w", err)
	}
	if status != http.StatusOK || body.AccessToken == "" {
		return "", fmt.Errorf("get a token for inventory: %d %s", status, body.Error)
	}
	s.token = body.AccessToken
	s.until = time.Now().Add(time.Duration(body.ExpiresIn)*time.Second - 30*time.Second)
	return s.token, nil
}

func (s *stock) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
}

func (s *stock) do(req *http.Request, into any) (status int, err error) {
	res, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return 0, err
	}
	if res.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(body, into); err != nil {
			return res.StatusCode, fmt.Errorf("read the answer: %w", err)
		}
	}
	return res.StatusCode, nil
}
