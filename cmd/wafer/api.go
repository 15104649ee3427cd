package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type apiCommands struct {
	Add    apiAdd    `cmd:"" help:"Add an API."`
	Edit   apiEdit   `cmd:"" help:"Change an API, live."`
	List   apiList   `cmd:"" help:"List APIs."`
	Remove apiRemove `cmd:"" help:"Remove an API; its tokens are refused."`
	Secret apiSecret `cmd:"" help:"Read the secret of an HMAC API, once for each key."`
	Show   apiShow   `cmd:"" help:"Show an API."`
}

// tokenFlags are what add and edit share.
type tokenFlags struct {
	Name       *string  `help:"Name for showing."`
	Format     string   `help:"Shape of the tokens: jwt, jwe or opaque." placeholder:"FORMAT"`
	Alg        string   `help:"Signature: HS256..512, RS256..512, PS256..512, ES256..512, EdDSA." placeholder:"ALG"`
	Lifetime   string   `help:"How long a token lives, such as 5m." placeholder:"TIME"`
	EncryptAlg string   `help:"For jwe: RSA-OAEP-256, ECDH-ES or ECDH-ES+A256KW." placeholder:"ALG"`
	JWKFile    string   `name:"jwk-file" help:"For jwe: the API's public key." type:"existingfile" placeholder:"FILE"`
	StatusList *bool    `help:"Tokens name their place in a status list, for services with another library." negatable:""`
	Scope      []string `help:"Scope; may be repeated." placeholder:"SCOPE"`
	Stale      *string  `help:"What verifiers do without fresh revocations: strict, degrade or open." placeholder:"POLICY"`
}

func (f tokenFlags) token() (manage.Token, error) {
	t := manage.Token{Format: f.Format, Alg: f.Alg, Lifetime: f.Lifetime, StatusList: f.StatusList}
	if f.JWKFile == "" && f.EncryptAlg == "" {
		return t, nil
	}
	if f.JWKFile == "" || f.EncryptAlg == "" {
		return t, errors.New("encryption needs both --encrypt-alg and --jwk-file")
	}
	b, err := os.ReadFile(f.JWKFile)
	if err != nil {
		return t, fmt.Errorf("read public key: %w", err)
	}
	if !json.Valid(b) {
		return t, fmt.Errorf("%s is not JSON", f.JWKFile)
	}
	t.Encrypt = &manage.Encrypt{Alg: f.EncryptAlg, Enc: "A256GCM", JWK: b}
	return t, nil
}

type apiAdd struct {
	ID string `arg:"" help:"The audience: an absolute URI."`
	tokenFlags
}

// Help is shown by wafer api add --help.
func (apiAdd) Help() string {
	return "Example:\n  wafer api add https://orders.example --alg RS256 --lifetime 5m --scope orders:read --scope orders:write"
}

// Run adds the API.
func (c *apiAdd) Run(e *env) error {
	t, err := c.token()
	if err != nil {
		return err
	}
	in := manage.NewAPI{ID: c.ID, Name: deref(c.Name), Token: t, Scopes: c.Scope, Stale: deref(c.Stale)}
	return e.withNew(func(m *manager) error {
		var out manage.API
		if err := m.call(http.MethodPost, "/apis", in, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.say("API " + out.ID + " added: " + tokenText(out) + ".")
			e.sayHMAC(out)
		})
	})
}

// given turns a repeated flag into an optional list: nil when it was not there,
// empty when its only value is. A pointer to a slice would keep the last value only.
func given(list []string) *[]string {
	switch {
	case list == nil:
		return nil
	case len(list) == 1 && list[0] == "":
		return &[]string{}
	}
	return &list
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// sayHMAC says how the services get the secret of an HMAC API.
func (e *env) sayHMAC(a manage.API) {
	if strings.HasPrefix(a.Token.Alg, "HS") {
		e.say("Its secret can be read once:", "wafer api secret "+a.ID)
	}
}

func tokenText(a manage.API) string {
	return a.Token.Format + ", " + a.Token.Alg + ", " + a.Token.Lifetime
}

type apiEdit struct {
	ID string `arg:"" help:"The audience."`
	tokenFlags
	Disable bool `help:"Give no tokens for it, and refuse those there are." xor:"state"`
	Enable  bool `help:"Let it work again." xor:"state"`
}

// Help is shown by wafer api edit --help.
func (apiEdit) Help() string {
	return "--scope replaces the present ones; --scope '' takes every scope away.\n\nExample:\n  wafer api edit https://orders.example --alg ES256 --lifetime 10m"
}

// Run changes the API.
func (c *apiEdit) Run(e *env) error {
	t, err := c.token()
	if err != nil {
		return err
	}
	in := manage.APIEdit{Name: c.Name, Scopes: given(c.Scope), Stale: c.Stale, Disabled: state(c.Disable, c.Enable)}
	if t != (manage.Token{}) {
		in.Token = &t
	}
	if in == (manage.APIEdit{}) {
		return errNoChange
	}
	return e.with(func(m *manager) error {
		var out manage.API
		if err := m.call(http.MethodPatch, "/apis/"+url.PathEscape(c.ID), in, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.say("API " + out.ID + " changed: " + tokenText(out) + ".")
			if c.Alg != "" {
				e.say("The key of the new algorithm is announced first and signs once verifiers had time to learn it:", "wafer key list --api "+out.ID)
				e.sayHMAC(out)
			}
		})
	})
}

type apiList struct{}

// Help is shown by wafer api list --help.
func (apiList) Help() string {
	return "Example:\n  wafer api list"
}

// Run lists the APIs.
func (c *apiList) Run(e *env) error {
	return e.with(func(m *manager) error {
		all, err := list[manage.API](m, "/apis")
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, a := range all {
				rows = append(rows, []string{a.ID, a.Token.Format, a.Token.Alg, a.Token.Lifetime, a.Stale, orDash(few(a.Scopes)), yesNo(a.Disabled)})
			}
			e.table([]string{"ID", "FORMAT", "ALG", "LIFETIME", "STALE", "SCOPES", "DISABLED"}, rows)
		})
	})
}

// few is the first of many names and how many there are; wafer api show has all.
func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s,... (%d)", strings.Join(names[:most], ","), len(names))
}

type apiRemove struct {
	ID string `arg:"" help:"The audience."`
}

// Help is shown by wafer api remove --help.
func (apiRemove) Help() string {
	return "Example:\n  wafer api remove https://orders.example"
}

// Run removes the API.
func (c *apiRemove) Run(e *env) error {
	return e.with(func(m *manager) error {
		if err := m.call(http.MethodDelete, "/apis/"+url.PathEscape(c.ID), nil, nil); err != nil {
			return err
		}
		return e.show(map[string]string{"removed": c.ID}, func() { e.say("API " + c.ID + " removed. Its tokens are refused.") })
	})
}

type apiSecret struct {
	ID string `arg:"" help:"The audience."`
}

// Help is shown by wafer api secret --help.
func (apiSecret) Help() string {
	return "The secret is the text on standard output. The HMAC key is its ASCII bytes, as most libraries expect.\n" +
		"It can be read once; after wafer key rotate the next key's secret can be read.\n\nExample:\n  wafer api secret https://notes.example > hmac.secret"
}

// Run prints the secret alone, so that it can be redirected into a file.
func (c *apiSecret) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.APISecret
		if err := m.call(http.MethodPost, "/apis/"+url.PathEscape(c.ID)+"/secret", struct{}{}, &out); err != nil {
			return err
		}
		return e.show(out, func() { fmt.Fprintln(e.out, out.Secret) })
	})
}

type apiShow struct {
	ID string `arg:"" help:"The audience."`
}

// Help is shown by wafer api show --help.
func (apiShow) Help() string {
	return "Example:\n  wafer --json api show https://orders.example"
}

// Run shows the API.
func (c *apiShow) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.API
		if err := m.call(http.MethodGet, "/apis/"+url.PathEscape(c.ID), nil, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.table([]string{"ID", out.ID}, [][]string{
				{"AUDIENCE", out.Audience}, {"NAME", orDash(out.Name)}, {"TOKENS", tokenText(out)}, {"STALE", out.Stale},
				{"SCOPES", orDash(strings.Join(out.Scopes, " "))}, {"DISABLED", yesNo(out.Disabled)},
			})
		})
	})
}
