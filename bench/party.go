package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	redirectURI = "http://127.0.0.1:9/callback"
	codeSecret  = "a-code-verifier-that-has-more-than-43-characters" // of PKCE; one for all codes
	many        = 64                                                 // callers at once
)

// party is the clients of one provider, and somebody who is signed in there.
type party struct {
	authorize, token string // addresses
	web              *http.Client
	cookie           string // when no jar has it
}

// wish is what a client asks for. Without an API it is who the person is.
type wish struct{ client, api, scope string }

// credentials of the client, none for a public one.
func (a wish) credentials() [2]string {
	if a.client == "bench-page" {
		return [2]string{}
	}
	return [2]string{a.client, service[1]}
}

// waferParty signs in at POST /session. The cookie is for TLS by its name: no jar
// gives it to this server.
func waferParty(w *process) (*party, error) {
	_, cookie, err := w.login("https://eddsa.example")
	y := &party{authorize: w.url + "/oauth/authorize", token: w.url + "/oauth/token", cookie: cookie}
	y.web = &http.Client{Transport: pooled(many), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return y, err
}

func pooled(n int) *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: n, MaxConnsPerHost: n}
}

// request is the address that an application sends a browser to.
func (y *party) request(a wish) string {
	sum := sha256.Sum256([]byte(codeSecret))
	q := url.Values{
		"response_type": {"code"}, "client_id": {a.client}, "redirect_uri": {redirectURI}, "scope": {a.scope},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	if a.api != "" {
		q.Set("resource", a.api)
	}
	return y.authorize + "?" + q.Encode()
}

// code asks the authorization endpoint as the browser of who is signed in.
func (y *party) code(a wish) (string, error) {
	r, err := http.NewRequest(http.MethodGet, y.request(a), nil)
	if err != nil {
		return "", err
	}
	if y.cookie != "" {
		r.Header.Set("Cookie", "__Host-Http-wafer="+y.cookie)
	}
	return codeIn(y.web.Do(r))
}

// codeIn reads the code from the redirect that brings it.
func codeIn(res *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	at, locationErr := res.Location()
	if err = errors.Join(err, locationErr); err != nil {
		return "", fmt.Errorf("%s %.300s: %w", res.Status, b, err)
	}
	if code := at.Query().Get("code"); code != "" {
		return code, nil
	}
	return "", fmt.Errorf("%s leads to %s, without a code", res.Status, at)
}

// codes makes so many, from many callers at once.
func (y *party) codes(n int, a wish) ([]string, error) {
	all := make([]string, n)
	errs := make([]error, many)
	var wg sync.WaitGroup
	for caller := range many {
		wg.Go(func() {
			for i := caller; i < n && errs[caller] == nil; i += many {
				all[i], errs[caller] = y.code(a)
			}
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// given is what the token endpoint answers.
type given struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// exchange turns a code into tokens.
func (y *party) exchange(c *http.Client, a wish, code string) (given, error) {
	return y.tokens(c, a, "grant_type=authorization_code&redirect_uri="+url.QueryEscape(redirectURI)+"&code_verifier="+codeSecret+"&code="+url.QueryEscape(code))
}

// refresh turns a refresh token into an access token and, maybe, the next one.
func (y *party) refresh(c *http.Client, a wish, token string) (given, error) {
	return y.tokens(c, a, "grant_type=refresh_token&refresh_token="+url.QueryEscape(token))
}

func (y *party) tokens(c *http.Client, a wish, form string) (g given, err error) {
	basic := a.credentials()
	if basic[0] == "" {
		form += "&client_id=" + a.client
	}
	b, err := posted(c, y.token, form, basic)
	if err != nil {
		return g, err
	}
	return g, json.Unmarshal(b, &g)
}

// first exchanges one code.
func (y *party) first(a wish) (given, error) {
	code, err := y.code(a)
	if err != nil {
		return given{}, err
	}
	return y.exchange(y.web, a, code)
}

// errOut ends a load before its time: nothing is left to ask with.
var errOut = errors.New("nothing is left")

// exchanges is a load that uses up codes, and what makes them ahead.
func (y *party) exchanges(a wish) (load, func() error) {
	const ahead = 1500
	codes := make(chan string, ahead)
	fill := func() error {
		for len(codes) > 0 {
			<-codes // it would expire
		}
		all, err := y.codes(ahead, a)
		for _, code := range all {
			codes <- code
		}
		return err
	}
	return func(c *http.Client) error {
		select {
		case code := <-codes:
			g, err := y.exchange(c, a, code)
			if err == nil && (g.ID == "") == strings.Contains(a.scope, "openid") {
				err = fmt.Errorf("ID token %q for scope %q", g.ID, a.scope)
			}
			return err
		default:
			return errOut
		}
	}, fill
}

// refreshing is a load that turns families over, as many as there are callers.
func (y *party) refreshing(a wish) (load, error) {
	codes, err := y.codes(many, a)
	if err != nil {
		return nil, err
	}
	pool := make(chan string, many)
	for _, code := range codes {
		g, err := y.exchange(y.web, a, code)
		if err != nil {
			return nil, err
		}
		pool <- g.Refresh
	}
	return func(c *http.Client) error {
		held := <-pool
		g, err := y.refresh(c, a, held)
		if err != nil {
			return err
		}
		if g.Refresh != "" {
			held = g.Refresh
		}
		pool <- held
		return nil
	}, nil
}
