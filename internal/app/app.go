package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/signin"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/store/split"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// Options is what an App is built from.
type Options struct {
	Config config.Config
	Log    *slog.Logger
	Now    func() time.Time // nil: the clock of the machine
	Links  []Link           // shown on the start page
	Vault  https.Vault      // of certificates from an ACME server; nil: the data folder
}

// Link is a line of the start page.
type Link struct{ Name, URL string }

// App is one installation, built and ready to serve.
type App struct {
	config    config.Config
	log       *slog.Logger
	now       func() time.Time
	dir       *dataDir
	root      *opaque.Root
	store     *split.Store
	passwords *lazyHasher
	ring      *keyring.Ring
	sessions  *session.Keeper
	grants    *grant.Service
	hub       *feed.Hub
	lists     *statuslist.Service
	outward   outward
	signin    *signin.Service
	admin     *admin.Service
	requests  *authorize.Service
	public    http.Handler
	local     http.Handler
	front     *https.Front // nil: plain HTTP
	closed    sync.Once
	bootstrap string // the one-time administrator token on offer, "" for none
}

// New opens the data folder and builds everything on it. What is unsafe or
// broken is an error here, not later. Close releases it.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &App{config: o.Config, log: o.Log, now: o.Now}
	if err := a.build(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) build(ctx context.Context, o Options) error {
	var err error
	if a.dir, err = openDataDir(a.config.Data); err != nil {
		return err
	}
	if a.root, err = a.dir.masterKey(a.config.KeyFile); err != nil {
		return err
	}
	if err = a.openStore(ctx); err != nil {
		return err
	}
	if err := a.checkMasterKey(ctx); err != nil {
		return err
	}
	if err := a.services(); err != nil {
		return err
	}
	if err := a.seed(ctx); err != nil {
		return err
	}
	if err := a.openFront(o); err != nil {
		return err
	}
	return a.surfaces(o)
}

// checkMasterKey refuses a master key other than the one the data was made with:
// nothing sealed could be opened, and every cookie of a known device, every
// refresh token and every client secret would be refused.
func (a *App) checkMasterKey(ctx context.Context) error {
	mine := fmt.Sprintf("%x", a.root.Derive("master key check").MAC("v1"))
	there, err := a.store.PutOnce(ctx, "master key check", mine)
	if err != nil {
		return fmt.Errorf("check master key: %w", err)
	}
	if there != mine {
		return fmt.Errorf("the master key is not the one that the data was made with; put the right one back in %s, or name it with --key-file: "+
			"all nodes of one database share it", a.dir.path)
	}
	return nil
}

func (a *App) services() error {
	var err error
	a.passwords = newLazyHasher(a.config.HashWorkers, a.now)
	limits := session.DefaultLimits()
	limits.Idle, limits.Absolute, limits.Bind = a.config.SessionIdle, a.config.SessionLifetime, a.config.Bind
	a.sessions = session.NewKeeper(a.store, limits, a.now)
	a.ring, err = keyring.New(keyring.Config{Store: a.store, Seal: a.root.Derive("signing keys"), Now: a.now, Rotate: a.config.RotateKeys})
	if err != nil {
		return err
	}
	secrets := a.root.Derive("client secrets")
	a.lists = statuslist.New(statuslist.Config{
		Store: a.store, Issuer: a.config.Issuer, Key: a.root.Derive("status lists"), Signer: a.eventsKey, Now: a.now,
	})
	if a.outward, err = a.newOutward(); err != nil {
		return err
	}
	a.grants = grant.New(grant.Config{
		Store: a.store, Log: a.store, Sessions: a.sessions, Keys: a.ring, Refresh: token.NewRefreshKey(a.root.Derive("refresh tokens")), Statuses: a.lists,
		Secrets: secrets, Issuer: a.config.Issuer, Now: a.now, Codes: token.NewCodeKey(a.root.Derive("authorization codes")), IssuerKey: a.issuerKey,
		Devices: a.store, UserCodes: a.root.Derive("user codes"), Users: a.store,
		Peers: a.outward.keys, Tickets: a.store,
	})
	a.requests = authorize.New(authorize.Config{
		Issuer: a.config.Issuer, Clients: a.store, APIs: a.store, Grants: a.grants, Tickets: a.store, Consents: a.store,
		Keys: a.outward.keys, Seal: a.root.Derive("authorization requests"), Now: a.now,
	})
	if a.hub, err = a.newHub(); err != nil {
		return err
	}
	a.signin = signin.New(signin.Config{
		Store: a.store, Counters: a.store, Passwords: a.passwords, Names: a.root.Derive("counter names"),
		Devices: a.root.Derive("known devices"), Now: a.now,
	})
	a.admin = admin.New(admin.Config{
		Store: a.store, Passwords: a.passwords, Secrets: secrets, Keys: a.ring, Fleet: a.hub, Statuses: a.lists, Sessions: a.sessions, Issuer: a.config.Issuer, Now: a.now,
		Tokens: a.jti, Registration: a.registration(),
	})
	if a.config.ClientDocuments {
		a.requests.Documents = a.admin.RefreshDocument
	}
	return nil
}

// jti finds the id of an opaque access token by its digest.
func (a *App) jti(ctx context.Context, d opaque.Digest) (string, bool, error) {
	t, found, err := a.store.TokenByDigest(ctx, d)
	return t.ID, found, err
}

// seed sees to it that what is built in is there, and that every API has a key.
func (a *App) seed(ctx context.Context) error {
	if err := a.admin.Seed(ctx); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if err := a.ring.Load(ctx); err != nil {
		return err
	}
	return a.tickKeys(ctx)
}

// tickKeys makes the moves of keys that are due.
func (a *App) tickKeys(ctx context.Context) error {
	all, err := a.allAPIs(ctx)
	if err != nil {
		return err
	}
	if err := a.ring.Tick(ctx, append(all, a.builtIn()...)); err != nil {
		return fmt.Errorf("tick keys: %w", err)
	}
	return nil
}

func (a *App) allAPIs(ctx context.Context) ([]api.API, error) {
	return all(ctx, a.store.APIs, func(x api.API) string { return x.ID })
}

func (a *App) allClients(ctx context.Context) ([]client.Client, error) {
	return all(ctx, a.store.Clients, func(x client.Client) string { return x.ID })
}

// all reads a whole register.
func all[T any](ctx context.Context, read func(ctx context.Context, after string, limit int) ([]T, error), id func(T) string) ([]T, error) {
	var rows []T
	err := each(ctx, read, id, func(one T) bool {
		rows = append(rows, one)
		return true
	})
	return rows, err
}

// each shows a register to see, page by page, until that has seen enough.
func each[T any](ctx context.Context, read func(ctx context.Context, after string, limit int) ([]T, error), id func(T) string, see func(T) (more bool)) error {
	const page = 500
	after := ""
	for {
		some, err := read(ctx, after, page)
		if err != nil {
			return fmt.Errorf("read register: %w", err)
		}
		for _, one := range some {
			if !see(one) {
				return nil
			}
		}
		if len(some) < page {
			return nil
		}
		after = id(some[len(some)-1])
	}
}

// Public is the handler for the network.
func (a *App) Public() http.Handler { return a.public }

// Local is the handler for whoever owns the data folder: the management API with
// every scope. It must never be reachable over the network.
func (a *App) Local() http.Handler { return a.local }

// Ring gives the demo the HMAC secret of its inventory.
func (a *App) Ring() *keyring.Ring { return a.ring }

// Applied says what a declared set-up changed, and what it warns of.
type Applied struct{ Changes, Warnings []string }

// Apply brings the installation to what a set-up declares. file tells where the
// files that it names are.
func (a *App) Apply(ctx context.Context, file string, text []byte) (Applied, error) {
	d, warnings, err := admin.ParseDeclared(text, filepath.Dir(file))
	if err != nil {
		return Applied{}, err
	}
	res, err := a.admin.Apply(ctx, admin.ByCLI(), d)
	if err != nil {
		return Applied{}, err
	}
	return Applied{Changes: res.Changes, Warnings: warnings}, nil
}

// OfferBootstrap puts a one-time administrator token on offer, if there is no
// administrator and never was one through such a token.
func (a *App) OfferBootstrap(ctx context.Context) error {
	text, offered, err := a.admin.OfferBootstrap(ctx)
	if err != nil {
		return fmt.Errorf("offer administrator token: %w", err)
	}
	if offered {
		a.bootstrap = text
	}
	return nil
}

// Bootstrap returns the one-time administrator token on offer.
func (a *App) Bootstrap() (text string, offered bool) { return a.bootstrap, a.bootstrap != "" }

// Close waits for what is being written and releases the data folder. A second
// call does nothing.
func (a *App) Close() error {
	var errs []error
	a.closed.Do(func() {
		if a.front != nil {
			a.front.Close()
		}
		if a.outward.courier != nil {
			a.outward.courier.Close()
		}
		if a.sessions != nil {
			errs = append(errs, a.sessions.Flush(context.Background()))
		}
		if a.store != nil {
			errs = append(errs, a.store.Close())
		}
		if a.dir != nil {
			errs = append(errs, a.dir.close())
		}
	})
	return errors.Join(errs...)
}
