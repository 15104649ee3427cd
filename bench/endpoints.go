package main

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// Endpoints over HTTP, for each second of the server's own CPU time, against a bare
// handler and npm oidc-provider, all three in turn.

func endpointSuites() []suite {
	return []suite{
		{"server discovery and JWKS", of(static)},
		{"server client_credentials", of(clientCredentials)},
		{"server introspection", of(introspection)},
		{"server userinfo", of(userinfo)},
		{"server code exchange", of(exchanges)},
		{"server refresh", of(refreshes)},
	}
}

// The budgets, in requests for each second of CPU time.
const (
	budgetStatic     = 60_000
	budgetEdDSA      = 15_000
	budgetRSA        = 0.9 // of Go's own signing
	budgetIntrospect = 25_000
	budgetRefresh    = 8_000
)

// endpointRounds is how often each is measured.
const endpointRounds = 5

// trio is the three servers of a suite, and who is signed in at two of them.
type trio struct {
	wafer, bare  *process
	provider     *process // nil: not there
	ours, theirs *party   // theirs is nil without a provider
	report       func(figure)
}

// contest is one row: a load on ours, on theirs, and what each needs before a round.
type contest struct {
	row          string
	callers      int
	ours, theirs load
	fill, refill func() error
	budget       float64 // 0: none
	raw          func() error
	rawBudget    float64
	differs      string // what the peer does otherwise
}

// of runs rows with three servers.
func of(rows func(*trio) ([]contest, error)) func(func(figure)) error {
	return func(report func(figure)) error {
		t := &trio{report: report}
		defer t.stop()
		if err := t.start(); err != nil {
			return err
		}
		all, err := rows(t)
		if err != nil {
			return err
		}
		for _, c := range all {
			if err := t.run(c); err != nil {
				return fmt.Errorf("%s: %w", c.row, err)
			}
		}
		return nil
	}
}

func (t *trio) start() (err error) {
	if t.bare, err = startBare(); err != nil {
		return err
	}
	if t.wafer, err = startWafer(); err != nil {
		return err
	}
	if t.ours, err = waferParty(t.wafer); err != nil {
		return err
	}
	t.provider, err = startProvider()
	if errors.Is(err, errNoPeer) {
		fmt.Fprintln(os.Stderr, err)
		return nil
	}
	if err != nil {
		return err
	}
	t.theirs, err = providerParty(t.provider)
	return err
}

func (t *trio) stop() {
	for _, p := range []*process{t.wafer, t.bare, t.provider} {
		if p != nil {
			p.stop()
		}
	}
}

// run measures a row and reports it.
func (t *trio) run(c contest) error {
	rates := map[string][]float64{}
	plain := get(t.bare.url + "/")
	for round := range endpointRounds + 1 {
		for _, one := range []struct {
			name string
			p    *process
			ask  load
			fill func() error
		}{{"ours", t.wafer, c.ours, c.fill}, {"bare", t.bare, plain, nil}, {"theirs", t.provider, c.theirs, c.refill}} {
			if one.p == nil {
				continue
			}
			rate, err := refilled(one.p, c.callers, one.ask, one.fill)
			if err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			if round > 0 {
				rates[one.name] = append(rates[one.name], rate)
			}
		}
		if c.raw == nil {
			continue
		}
		ns, err := cpuPerCall(c.raw)
		if err != nil {
			return err
		}
		if round > 0 {
			rates["raw"] = append(rates["raw"], 1e9/ns)
		}
	}
	t.tell(c, rates)
	return nil
}

func refilled(p *process, callers int, ask load, fill func() error) (float64, error) {
	if fill != nil {
		if err := fill(); err != nil {
			return 0, err
		}
	}
	return throughput(p, callers, ask)
}

func (t *trio) tell(c contest, rates map[string][]float64) {
	mine := figure{c.row, median(rates["ours"]), "requests per core-second", "", endpointRounds}
	if c.budget > 0 {
		mine = mine.atLeast(c.budget)
	}
	t.report(mine)
	t.report(figure{c.row, ratio(rates["ours"], rates["bare"]), "of bare", "bare net/http", endpointRounds})
	if c.raw != nil {
		t.report(figure{c.row, ratio(rates["ours"], rates["raw"]), "of crypto/rsa", "signing alone", endpointRounds}.atLeast(c.rawBudget))
	}
	if t.provider == nil {
		fmt.Fprintf(os.Stderr, "%s, oidc-provider: NOT RUN\n", c.row)
		return
	}
	t.report(figure{c.row + ", oidc-provider", median(rates["theirs"]), "requests per core-second", c.differs, endpointRounds})
	t.report(figure{c.row, ratio(rates["ours"], rates["theirs"]), "x oidc-provider", "", endpointRounds})
}

// at is an address of the peer's, "" when it is not there.
func (t *trio) at(path string) string {
	if t.provider == nil {
		return ""
	}
	return t.provider.url + path
}

func static(t *trio) ([]contest, error) {
	const discovery = "/.well-known/openid-configuration"
	return []contest{
		{row: "discovery", callers: 32, ours: get(t.wafer.url + discovery), theirs: get(t.at(discovery)), budget: budgetStatic},
		{row: "JWKS", callers: 32, ours: get(t.wafer.url + "/.well-known/jwks.json"), theirs: get(t.at("/jwks")), budget: budgetStatic},
	}, nil
}

func clientCredentials(t *trio) ([]contest, error) {
	alone, err := rawRSA(crypto.SHA256, false)
	if err != nil {
		return nil, err
	}
	signing := func() error {
		_, err := alone.sign([]byte("any"))
		return err
	}
	row := func(alg, api string) contest {
		form := "grant_type=client_credentials&resource=" + api
		return contest{
			row: "client_credentials " + alg, callers: 32,
			ours: post(t.wafer.url+"/oauth/token", form, service), theirs: post(t.at("/token"), form+"&scope=a:read", service),
		}
	}
	eddsa, rs := row("EdDSA", "https://eddsa.example"), row("RS256", "https://rs256.example")
	eddsa.budget, rs.raw, rs.rawBudget = budgetEdDSA, signing, budgetRSA
	hs := row("HS256", "https://hs256.example")
	hs.theirs, hs.differs = eddsa.theirs, "EdDSA"
	return []contest{eddsa, row("ES256", "https://es256.example"), rs, hs}, nil
}

func introspection(t *trio) ([]contest, error) {
	s, err := t.wafer.signIn()
	if err != nil {
		return nil, err
	}
	theirs, err := t.theirToken()
	if err != nil {
		return nil, err
	}
	var all []contest
	for _, k := range []struct{ name, form string }{
		{"JWT EdDSA", "token=" + s.access}, {"opaque", "token=" + s.opaque}, {"session cookie", "token=" + s.cookie + "&api=https://eddsa.example"},
	} {
		all = append(all, contest{
			row: "introspection " + k.name, callers: 32, ours: active(t.wafer.url+"/oauth/introspect", k.form), budget: budgetIntrospect,
			theirs: active(t.at("/token/introspection"), "token="+theirs), differs: "opaque token",
		})
	}
	return all, nil
}

// active asks about a token that is good. To refuse is cheaper, so answers are read.
func active(url, form string) load {
	return func(c *http.Client) error {
		b, err := posted(c, url, form, service)
		if err == nil && !bytes.Contains(b, []byte(`"active":true`)) {
			err = fmt.Errorf("a good token is answered %.300s", b)
		}
		return err
	}
}

// theirToken is an opaque access token of the peer's, which says who somebody is.
func (t *trio) theirToken() (string, error) {
	if t.theirs == nil {
		return "", nil
	}
	g, err := t.theirs.first(wish{client: "bench-site", scope: "openid"})
	return g.Access, err
}

func userinfo(t *trio) ([]contest, error) {
	g, err := t.ours.first(wish{client: "bench-site", scope: "openid"})
	if err != nil {
		return nil, err
	}
	theirs, err := t.theirToken()
	if err != nil {
		return nil, err
	}
	return []contest{{
		row: "userinfo", callers: 32, ours: bearing(t.wafer.url+"/oauth/userinfo", g.Access), theirs: bearing(t.at("/me"), theirs), differs: "opaque token",
	}}, nil
}

func bearing(url, token string) load {
	return func(c *http.Client) error {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return finish(c.Do(r))
	}
}

// exchanges uses codes that were made ahead. Each gives an access token, a refresh
// token and an ID token.
func exchanges(t *trio) ([]contest, error) {
	var all []contest
	for _, k := range []struct{ name, client string }{{"EdDSA", "bench-site-eddsa"}, {"RS256", "bench-site"}} {
		a := wish{client: k.client, api: "https://eddsa.example", scope: "openid a:read"}
		c := contest{row: "code exchange, ID token " + k.name, callers: many}
		c.ours, c.fill = t.ours.exchanges(a)
		if t.theirs != nil {
			c.theirs, c.refill = t.theirs.exchanges(a)
			c.differs = "in memory"
		}
		all = append(all, c)
	}
	return all, nil
}

// refreshes turns families over from many connections at once. Where tokens rotate,
// each answer was on disk before it was sent.
func refreshes(t *trio) ([]contest, error) {
	var all []contest
	for _, k := range []struct{ name, client string }{{"refresh, durable, public client", "bench-page"}, {"refresh, confidential client", "bench-site"}} {
		a := wish{client: k.client, api: "https://eddsa.example", scope: "a:read"}
		c := contest{row: k.name, callers: many, budget: budgetRefresh, differs: "in memory"}
		var err error
		if c.ours, err = t.ours.refreshing(a); err == nil && t.theirs != nil {
			c.theirs, err = t.theirs.refreshing(a)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
