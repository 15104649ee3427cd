package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type keyCommands struct {
	List   keyList   `cmd:"" help:"List signing keys and their states."`
	Retire keyRetire `cmd:"" help:"Take a key out of use."`
	Rotate keyRotate `cmd:"" help:"Announce the next key of an API; it signs once verifiers had time to learn it."`
}

type keyList struct {
	API string `name:"api" help:"Only this API's keys." placeholder:"ID"`
}

// Help is shown by wafer key list --help.
func (keyList) Help() string {
	return "Example:\n  wafer key list --api https://orders.example"
}

// Run lists the keys.
func (c *keyList) Run(e *env) error {
	path := "/keys"
	if c.API != "" {
		path += "?api=" + url.QueryEscape(c.API)
	}
	return e.with(func(m *manager) error {
		all, err := list[manage.Key](m, path)
		if err != nil {
			return err
		}
		return e.show(all, func() {
			rows := make([][]string, 0, len(all))
			for _, k := range all {
				rows = append(rows, []string{k.ID, k.API, k.Alg, k.State, when(k.CreatedAt), when(deref(k.ActiveAt)), when(deref(k.RetiredAt))})
			}
			e.table([]string{"ID", "API", "ALG", "STATE", "MADE", "ACTIVE", "RETIRED"}, rows)
		})
	})
}

type keyRetire struct {
	ID          string `arg:"" help:"The kid."`
	Compromised bool   `help:"Somebody else has the key: refuse every token it signed, and sign with a new key at once."`
}

// Help is shown by wafer key retire --help.
func (keyRetire) Help() string {
	return "Without --compromised it takes back a key that is only announced. A key that signs needs a successor first: wafer key rotate.\n\nExample:\n  wafer key retire key_01m8563k2qahq3chjdrrftb8h1 --compromised"
}

// Run retires the key.
func (c *keyRetire) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.Key
		if err := m.call(http.MethodPost, "/keys/"+url.PathEscape(c.ID)+"/retire", manage.Retirement{Compromised: c.Compromised}, &out); err != nil {
			return err
		}
		return e.show(out, func() { e.say("Key " + out.ID + " is " + out.State + ".") })
	})
}

type keyRotate struct {
	API string `name:"api" required:"" help:"The API whose key is replaced." placeholder:"ID"`
	Now bool   `help:"Sign with the new key at once: verifiers with an older key set refuse its tokens until they ask again."`
}

// Help is shown by wafer key rotate --help.
func (keyRotate) Help() string {
	return "Example:\n  wafer key rotate --api https://orders.example"
}

// Run rotates the API's key.
func (c *keyRotate) Run(e *env) error {
	return e.with(func(m *manager) error {
		var out manage.Key
		if err := m.call(http.MethodPost, "/keys/rotate", manage.Rotation{API: c.API, Now: c.Now}, &out); err != nil {
			return err
		}
		return e.show(out, func() {
			e.say("Key " + out.ID + " (" + out.Alg + ") is " + out.State + " since " + when(latest(out)) + ".")
			if strings.HasPrefix(out.Alg, "HS") {
				e.say("Its secret can be read once:", "wafer api secret "+out.API)
			}
		})
	})
}

// latest is when a key came to the state it is in.
func latest(k manage.Key) time.Time {
	at := k.CreatedAt
	for _, t := range []*time.Time{k.ActiveAt, k.RetiredAt, k.RemovedAt} {
		if t != nil {
			at = *t
		}
	}
	return at
}
