package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// errNoPeer says why the other provider is not there.
var errNoPeer = errors.New("oidc-provider: NOT RUN")

// startProvider runs npm oidc-provider, from where the tests of clients install it.
func startProvider() (*process, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("%w: there is no node", errNoPeer)
	}
	if _, err := os.Stat("../clients/node/node_modules/oidc-provider"); err != nil {
		return nil, fmt.Errorf("%w: npm ci in clients/node installs it", errNoPeer)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	given, err := json.Marshal(map[string]string{"port": port, "secret": service[1], "redirect": redirectURI})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(node, "--no-warnings", "provider.mjs")
	cmd.Env = append(os.Environ(), "NODE_ENV=production", "BENCH_PROVIDER="+string(given))
	p, _, err := start(cmd, "http://127.0.0.1:"+port, "/.well-known/openid-configuration")
	return p, err
}

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// providerParty signs in with the form that oidc-provider has for trying it out.
func providerParty(p *process) (*party, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	y := &party{authorize: p.url + "/auth", token: p.url + "/token", web: &http.Client{Jar: jar, Transport: pooled(many)}}
	y.web.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), p.url+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := y.web.Get(y.request(wish{client: "bench-site", scope: "openid"}))
	page, err := bodyOf(res, err)
	if err != nil {
		return nil, err
	}
	action := formAction.FindSubmatch(page)
	if action == nil {
		return nil, fmt.Errorf("oidc-provider shows no form: %.300s", page)
	}
	res, err = y.web.PostForm(string(action[1]), url.Values{"prompt": {"login"}, "login": {"bench"}, "password": {"any"}})
	if _, err = codeIn(res, err); err != nil {
		return nil, fmt.Errorf("sign in at oidc-provider: %w", err)
	}
	return y, nil
}
