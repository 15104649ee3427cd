package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/manage"
	"github.com/wafer-auth/wafer/verify/bound"
)

type clientCommands struct {
	Add    clientAdd    `cmd:"" help:"Add a client."`
	Edit   clientEdit   `cmd:"" help:"Change a client."`
	Invite clientInvite `cmd:"" help:"Make an initial access token, with which clients register themselves."`
	List   clientList   `cmd:"" help:"List clients."`
	Remove clientRemove `cmd:"" help:"Remove a client and end its grants."`
	Secret clientSecret `cmd:"" help:"Give a client a new secret."`
	Show   clientShow   `cmd:"" help:"Show a client."`
}

type clientAdd struct {
	ID          string   `arg:"" help:"The client_id."`
	Name        string   `help:"Name for showing."`
	Kind        string   `help:"public or confidential." enum:"public,confidential" default:"confidential"`
	FirstParty  bool     `help:"May log people in with their credentials at POST /session."`
	SecretFile  string   `help:"File with the secret. Default: one is made and shown once." type:"existingfile" placeholder:"FILE"`
	RedirectURI []string `name:"redirect-uri" help:"Where people may be sent back to; may be repeated." placeholder:"URI"`
	Origin      []string `help:"Origin of the client's pages; may be repeated." placeholder:"ORIGIN"`
	Grant       []string `help:"Grant type; may be repeated." placeholder:"TYPE"`
	API         []string `name:"api" help:"API and its scopes, as ID=SCOPE,SCOPE; may be repeated." sep:"none" placeholder:"ID=SCOPES"`
	Serves      []string `help:"API this client is the service of; may be repeated." placeholder:"ID"`
	Logout      string   `name:"backchannel-logout-uri" help:"Where it is told that a session has ended." placeholder:"URI"`
	BindNetwork string   `help:"What a credential is worth on another network: report, step-up or refuse. Default: as much." enum:",report,step-up,refuse" default:"" placeholder:"MODE"`
	BindDevice  string   `help:"The same for another kind of device." enum:",report,step-up,refuse" default:"" placeholder:"MODE"`
	oauthFlags
}

// Help is shown by wafer client add --help.
func (clientAdd) Help() string {
	return "Examples:\n  wafer client add orders-api --grant client_credentials --api management=sessions:check --serves https://orders.example\n" +
		"  wafer client add billing --grant client_credentials --oauth token_endpoint_auth_method=private_key_jwt --jwks-file billing.jwks"
}

// Run adds the client.
func (c *clientAdd) Run(e *env) error {
	apis, err := scopesByAPI(c.API)
	if err != nil {
		return err
	}
	in := manage.NewClient{
		ID: c.ID, Name: c.Name, Kind: c.Kind, FirstParty: c.FirstParty, RedirectURIs: c.RedirectURI, Origins: c.Origin,
		Grants: c.Grant, APIs: apis, Serves: c.Serves, BackchannelLogoutURI: c.Logout,
		Bind: bound.Policy{Network: bound.Mode(c.BindNetwork), Device: bound.Mode(c.BindDevice)},
	}
	if in.OAuth, err = c.object(); err != nil {
		return err
	}
	if c.SecretFile != "" {
		if in.Secret, err = secretFile(c.SecretFile); err != nil {
			return err
		}
	}
	return e.withNew(func(m *manager) error {
		var out manage.ClientAdded
		if err := m.call(http.MethodPost, "/clients", in, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.say("Client " + out.ID + " added.")
			if out.Secret != "" {
				e.say("Its secret, shown this once:", out.Secret)
			}
		})
	})
}

func secretFile(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// scopesByAPI reads ID=SCOPE,SCOPE. An id is a URL and may hold "=" itself, so
// the last one counts.
func scopesByAPI(list []string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, text := range list {
		i := strings.LastIndexByte(text, '=')
		if i <= 0 || i == len(text)-1 {
			return nil, fmt.Errorf("%q: write ID=SCOPE,SCOPE", text)
		}
		out[text[:i]] = append(out[text[:i]], strings.Split(text[i+1:], ",")...)
	}
	return out, nil
}

func scopesText(m map[string][]string) string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, id+"="+strings.Join(m[id], ","))
	}
	return orDash(strings.Join(parts, " "))
}

type clientEdit struct {
	ID          string   `arg:"" help:"The client_id."`
	Name        *string  `help:"New name."`
	FirstParty  *bool    `help:"May log people in with their credentials." negatable:""`
	RedirectURI []string `name:"redirect-uri" help:"Addresses instead of the present ones." placeholder:"URI"`
	Origin      []string `help:"Origins instead of the present ones." placeholder:"ORIGIN"`
	Grant       []string `help:"Grant types instead of the present ones." placeholder:"TYPE"`
	API         []string `name:"api" help:"APIs and scopes instead of the present ones." sep:"none" placeholder:"ID=SCOPES"`
	Serves      []string `help:"APIs it is the service of, instead of the present ones." placeholder:"ID"`
	Logout      *string  `name:"backchannel-logout-uri" help:"Where it is told that a session has ended; empty: nowhere." placeholder:"URI"`
	Bind        *string  `help:"What its new sessions are bound to instead, such as network=refuse,device=report; empty: nothing." placeholder:"WHAT"`
	SecretFile  string   `help:"File with another secret." type:"existingfile" placeholder:"FILE"`
	EndTokens   bool     `help:"Take back everything it was given too: somebody else has the old secret or key."`
	Disable     bool     `help:"Give it nothing more; ends its grants." xor:"state"`
	Enable      bool     `help:"Let it work again." xor:"state"`
	oauthFlags
}

// Help is shown by wafer client edit --help.
func (clientEdit) Help() string {
	return "A list that is given replaces the present one; an empty value empties it: --origin ''.\n\nExamples:\n" +
		"  wafer client edit shop-web --origin https://shop.example --origin https://www.shop.example\n" +
		"  wafer client edit shop-web --post-logout-uri https://shop.example/bye --oauth logo_uri=https://shop.example/logo.png"
}

// Run changes the client.
func (c *clientEdit) Run(e *env) error {
	in := manage.ClientEdit{
		Name: c.Name, FirstParty: c.FirstParty, RedirectURIs: given(c.RedirectURI), Origins: given(c.Origin), Grants: given(c.Grant),
		Serves: given(c.Serves), BackchannelLogoutURI: c.Logout, EndTokens: c.EndTokens, Disabled: state(c.Disable, c.Enable),
	}
	var err error
	if in.OAuth, err = c.object(); err != nil {
		return err
	}
	if c.SecretFile != "" {
		secret, err := secretFile(c.SecretFile)
		if err != nil {
			return err
		}
		in.Secret = &secret
	}
	if len(c.API) > 0 {
		apis, err := scopesByAPI(c.API)
		if err != nil {
			return err
		}
		in.APIs = &apis
	}
	if c.Bind != nil {
		p, err := bindPolicy(*c.Bind)
		if err != nil {
			return err
		}
		in.Bind = &p
	}
	if reflect.ValueOf(in).IsZero() {
		return errNoChange
	}
	return e.with(func(m *manager) error {
		var out manage.Client
		if err := m.call(http.MethodPatch, "/clients/"+url.PathEscape(c.ID), in, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.say("Client " + out.ID + " changed.") })
	})
}

// bindPolicy reads network=MODE,device=MODE.
func bindPolicy(text string) (bound.Policy, error) {
	var p bound.Policy
	for part := range strings.SplitSeq(text, ",") {
		what, mode, _ := strings.Cut(part, "=")
		switch {
		case part == "":
		case what == "network":
			p.Network = bound.Mode(mode)
		case what == "device":
			p.Device = bound.Mode(mode)
		default:
			return bound.Policy{}, fmt.Errorf("bind %q: write network=MODE,device=MODE", text)
		}
	}
	return p, errors.Join(p.Network.Check(), p.Device.Check())
}

type clientList struct{}

// Help is shown by wafer client list --help.
func (clientList) Help() string {
	return "Example:\n  wafer client list"
}

// Run lists the clients.
func (c *clientList) Run(e *env) error {
	return e.with(func(m *manager) error {
		all, err := list[manage.Client](m, "/clients")
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, c := range all {
				rows = append(rows, []string{c.ID, c.Kind, yesNo(c.FirstParty), orDash(strings.Join(c.Grants, ",")), scopesText(c.APIs), yesNo(c.Disabled)})
			}
			e.table([]string{"ID", "KIND", "FIRST PARTY", "GRANTS", "APIS", "DISABLED"}, rows)
		})
	})
}

type clientRemove struct {
	ID string `arg:"" help:"The client_id."`
}

// Help is shown by wafer client remove --help.
func (clientRemove) Help() string {
	return "Example:\n  wafer client remove shop-web"
}

// Run removes the client.
func (c *clientRemove) Run(e *env) error {
	return e.with(func(m *manager) error {
		if err := m.call(http.MethodDelete, "/clients/"+url.PathEscape(c.ID), nil, nil); err != nil {
			return err
		}
		return e.show(map[string]string{"removed": c.ID}, func() { e.say("Client " + c.ID + " removed. Its grants have ended.") })
	})
}

type clientSecret struct {
	ID      string        `arg:"" help:"The client_id."`
	Overlap time.Duration `help:"How long the old one works beside the new one, at most 720h. Default: it stops at once." placeholder:"TIME" xor:"old"`
	Stolen  bool          `help:"Somebody else has the old one: take back everything the client was given too." xor:"old"`
}

// Help is shown by wafer client secret --help.
func (clientSecret) Help() string {
	return "Examples:\n  wafer client secret orders-api --overlap 24h\n  wafer client secret orders-api --stolen"
}

// Run gives the client a new secret.
func (c *clientSecret) Run(e *env) error {
	return e.with(func(m *manager) error {
		in := manage.SecretRotation{Stolen: c.Stolen}
		if c.Overlap != 0 {
			in.Overlap = c.Overlap.String()
		}
		var out manage.ClientSecret
		if err := m.call(http.MethodPost, "/clients/"+url.PathEscape(c.ID)+"/secret", in, &out); err != nil {
			return err
		}
		old := "works no more"
		if out.OldSecretUntil != nil {
			old = "works until " + when(*out.OldSecretUntil)
		}
		return e.show(out, func() { e.say("The secret of "+out.ID+", shown this once; the old one "+old+":", out.Secret) })
	})
}

type clientShow struct {
	ID string `arg:"" help:"The client_id."`
}

// Help is shown by wafer client show --help.
func (clientShow) Help() string {
	return "Example:\n  wafer client show orders-api"
}

// Run shows the client.
func (c *clientShow) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.Client
		if err := m.call(http.MethodGet, "/clients/"+url.PathEscape(c.ID), nil, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.table([]string{"ID", out.ID}, append([][]string{
				{"NAME", orDash(out.Name)}, {"KIND", out.Kind}, {"FIRST PARTY", yesNo(out.FirstParty)}, {"GRANTS", orDash(strings.Join(out.Grants, ","))},
				{"APIS", scopesText(out.APIs)}, {"SERVES", orDash(strings.Join(out.Serves, " "))}, {"REDIRECT URIS", orDash(strings.Join(out.RedirectURIs, " "))},
				{"ORIGINS", orDash(strings.Join(out.Origins, " "))}, {"LOGOUT URI", orDash(out.BackchannelLogoutURI)}, {"REGISTERED BY", registrar(out)}, {"DISABLED", yesNo(out.Disabled)},
			}, slices.Concat(oldSecretRow(out), memberRows("oauth.", out.OAuth))...))
		})
	})
}

// registrar says who registered a client.
func registrar(c manage.Client) string {
	switch client.Source(c.Source) {
	case client.ByItself:
		return "itself"
	case client.ByDocument:
		return "its document"
	}
	return "an operator"
}

// oldSecretRow is there while two secrets work.
func oldSecretRow(c manage.Client) [][]string {
	if c.OldSecretUntil == nil {
		return nil
	}
	return [][]string{{"OLD SECRET", "works until " + when(*c.OldSecretUntil)}}
}
