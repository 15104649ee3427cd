package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// settings is what a databaseVault needs of the database.
type settings interface {
	Setting(ctx context.Context, name string) (string, error)
	ChangeSetting(ctx context.Context, name, old, next string) (bool, error)
}

// vaultSetting is the name of the one setting that holds a vault.
const vaultSetting = "tls vault"

// databaseVault keeps what belongs to an ACME account in the database that all
// nodes share. It is one setting, changed only from what it was: it is small, a
// few keys and certificates, and changes a few times in a month.
type databaseVault struct{ settings settings }

var _ https.Vault = databaseVault{}

// vaultFor is the vault of an installation: the database when nodes share one, nil
// for the data folder.
func (a *App) vaultFor(o Options) https.Vault {
	if o.Vault != nil || a.config.Database == "" || a.config.TLS != config.TLSACME {
		return o.Vault
	}
	return databaseVault{a.store}
}

type vaultContents struct {
	Values map[string]vaultValue `json:"values"`
	Leases map[string]vaultLease `json:"leases"`
}

type vaultValue struct {
	Value  []byte    `json:"value"`
	Stored time.Time `json:"stored"`
}

type vaultLease struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

func (v databaseVault) read(ctx context.Context) (c vaultContents, text string, err error) {
	if text, err = v.settings.Setting(ctx, vaultSetting); err != nil {
		return c, "", fmt.Errorf("read the vault: %w", err)
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return c, "", fmt.Errorf("read the vault: %w", err)
		}
	}
	if c.Values == nil {
		c.Values = map[string]vaultValue{}
	}
	if c.Leases == nil {
		c.Leases = map[string]vaultLease{}
	}
	return c, text, nil
}

// vaultTries is how often a change is tried that other nodes overtake.
const vaultTries = 200

// change decides on what is there until nobody was faster. false changes nothing.
func (v databaseVault) change(ctx context.Context, decide func(*vaultContents) bool) error {
	for range vaultTries {
		c, old, err := v.read(ctx)
		if err != nil {
			return err
		}
		if !decide(&c) {
			return nil
		}
		next, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("write the vault: %w", err)
		}
		done, err := v.settings.ChangeSetting(ctx, vaultSetting, old, string(next))
		if err != nil {
			return fmt.Errorf("write the vault: %w", err)
		}
		if done || string(next) == old {
			return nil
		}
	}
	return errors.New("write the vault: other nodes are always faster")
}

// Load implements https.Vault.
func (v databaseVault) Load(ctx context.Context, key string) (value []byte, stored time.Time, found bool, err error) {
	c, _, err := v.read(ctx)
	one, found := c.Values[key]
	return one.Value, one.Stored, found, err
}

// Store implements https.Vault.
func (v databaseVault) Store(ctx context.Context, key string, value []byte, now time.Time) error {
	return v.change(ctx, func(c *vaultContents) bool {
		c.Values[key] = vaultValue{Value: value, Stored: now.UTC()}
		return true
	})
}

// Delete implements https.Vault.
func (v databaseVault) Delete(ctx context.Context, key string) error {
	return v.change(ctx, func(c *vaultContents) bool {
		before := len(c.Values)
		maps.DeleteFunc(c.Values, func(k string, _ vaultValue) bool { return k == key || strings.HasPrefix(k, key+"/") })
		return len(c.Values) < before
	})
}

// List implements https.Vault.
func (v databaseVault) List(ctx context.Context, prefix string) ([]string, error) {
	c, _, err := v.read(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(c.Values)) {
		if prefix == "" || strings.HasPrefix(k, prefix+"/") {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// Lock implements https.Vault.
func (v databaseVault) Lock(ctx context.Context, name, holder string, now, until time.Time) (taken bool, err error) {
	err = v.change(ctx, func(c *vaultContents) bool {
		held, there := c.Leases[name]
		taken = !there || held.Holder == holder || !now.Before(held.Until)
		if taken {
			c.Leases[name] = vaultLease{Holder: holder, Until: until.UTC()}
		}
		return taken
	})
	return taken && err == nil, err
}

// Unlock implements https.Vault.
func (v databaseVault) Unlock(ctx context.Context, name, holder string) error {
	return v.change(ctx, func(c *vaultContents) bool {
		if c.Leases[name].Holder != holder {
			return false
		}
		delete(c.Leases, name)
		return true
	})
}
