package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	inventory "github.com/wafer-auth/wafer/examples/inventory/app"
	orders "github.com/wafer-auth/wafer/examples/orders/app"
	shop "github.com/wafer-auth/wafer/examples/shop/app"
	spa "github.com/wafer-auth/wafer/examples/spa/app"
	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// The APIs of the demo, and who may use them.
const (
	demoOrders    = "https://orders.example"
	demoInventory = "https://inventory.example"
	demoLogin     = "ada@example.com"
	demoPassword  = "correct-horse-battery-staple"
)

// demo is a throwaway installation with the example services beside it.
type demo struct {
	env                                *env
	cfg                                config.Config
	log                                *slog.Logger
	ordersSecret, invSecret, spaSecret string
	shop, spa, orders, inventory       net.Listener
	servers                            []*http.Server
	following                          sync.WaitGroup
	unfollow                           context.CancelFunc
}

// serveDemo seeds a throwaway installation and serves it with the examples.
func serveDemo(e *env, cfg config.Config, files []string, log *slog.Logger) error {
	d := &demo{env: e, cfg: cfg, log: log, ordersSecret: opaque.Secret(), invSecret: opaque.Secret(), spaSecret: opaque.Secret()}
	dir, err := os.MkdirTemp("", "wafer-demo-")
	if err != nil {
		return fmt.Errorf("make demo folder: %w", err)
	}
	defer os.RemoveAll(dir)
	d.cfg.Data = dir
	if err := d.listen(); err != nil {
		return err
	}
	if err := d.cfg.Validate(); err != nil {
		return err
	}
	links := []app.Link{{Name: "The demo shop", URL: d.url(d.shop)}, {Name: "The single-page application", URL: d.url(d.spa)}}
	a, err := app.New(e.ctx, app.Options{Config: d.cfg, Log: log, Links: links})
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.Apply(e.ctx, filepath.Join(dir, "demo.yaml"), []byte(d.setup())); err != nil {
		return fmt.Errorf("seed demo: %w", err)
	}
	if err := applyFiles(e, a, files); err != nil {
		return err
	}
	if err := d.examples(a); err != nil {
		return err
	}
	defer d.stop()
	return a.Run(e.ctx, d.announce)
}

// listen takes the ports: the usual ones, or free ones where those are taken.
func (d *demo) listen() error {
	var err error
	for _, p := range []struct {
		into *net.Listener
		port string
	}{{&d.shop, "3000"}, {&d.spa, "3001"}, {&d.orders, "8081"}, {&d.inventory, "8082"}} {
		if *p.into, err = listenNear(p.port); err != nil {
			return err
		}
	}
	probe, err := net.Listen("tcp", d.cfg.Listen)
	if err == nil {
		return probe.Close()
	}
	if d.cfg.Listen != config.DefaultListen {
		return fmt.Errorf("listen: %w", err)
	}
	free, err := listenNear("0")
	if err != nil {
		return err
	}
	d.cfg.Listen = free.Addr().String()
	d.cfg.Issuer = config.Config{Listen: d.cfg.Listen}.WithDefaults().Issuer
	return free.Close()
}

func listenNear(port string) (net.Listener, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err == nil {
		return ln, nil
	}
	if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

// url is how a browser reaches a listener. All are on one host, localhost, so
// that they share the session cookie: ports do not separate cookies.
func (d *demo) url(ln net.Listener) string {
	return fmt.Sprintf("http://localhost:%d", ln.Addr().(*net.TCPAddr).Port)
}

// setup is the demo's declared set-up, as an operator would write it.
func (d *demo) setup() string {
	return strings.NewReplacer(
		"SHOP", d.url(d.shop), "SPA_SECRET", d.spaSecret, "ORDERS_SECRET", d.ordersSecret, "INVENTORY_SECRET", d.invSecret,
	).Replace(demoSetup)
}

const demoSetup = `
apis:
  - id: https://orders.example
    name: Orders
    token: {format: jwt, alg: RS256, lifetime: 5m}
    scopes: [orders:read]
  - id: https://inventory.example
    name: Inventory
    token: {format: jwt, alg: HS256, lifetime: 5m}
    scopes: [inventory:read]
clients:
  - id: shop-web
    name: The demo shop
    kind: public
    first_party: true
    redirect_uris: [SHOP/]
    origins: [SHOP]
    grants: [refresh_token]
    apis: {https://orders.example: [orders:read], https://inventory.example: [inventory:read]}
  - id: spa
    name: The single-page application
    kind: confidential
    first_party: true # with no origins: its backend asks Wafer, its pages cannot
    secret: SPA_SECRET
    grants: [refresh_token]
    apis: {https://orders.example: [orders:read]}
  - id: portal
    name: An application that speaks OpenID Connect
    kind: confidential
    first_party: true
    secret: portal-secret-of-the-demo
    redirect_uris: [https://portal.example/callback]
    grants: [authorization_code]
    oauth: {consent: skip}
  - id: orders-api
    name: Orders
    kind: confidential
    secret: ORDERS_SECRET
    grants: [client_credentials]
    apis: {management: [feed:read, sessions:check], https://inventory.example: [inventory:read]}
    serves: [https://orders.example]
  - id: inventory-api
    name: Inventory
    kind: confidential
    secret: INVENTORY_SECRET
    grants: [client_credentials]
    apis: {management: [sessions:check]}
    serves: [https://inventory.example]
roles:
  - {id: clerk, scopes: {https://orders.example: [orders:read], https://inventory.example: [inventory:read]}}
users:
  - {login: ada@example.com, name: Ada, password: correct-horse-battery-staple, roles: [clerk, admin]}
`

// examples starts the services.
func (d *demo) examples(a *app.App) error {
	secret, err := a.Ring().Secret(d.env.ctx, demoInventory, "system")
	if err != nil {
		return fmt.Errorf("read the inventory's HMAC secret: %w", err)
	}
	inv, err := inventory.New(inventory.Config{
		Issuer: d.cfg.Issuer, Audience: demoInventory, HMACSecret: secret.Value, ClientID: "inventory-api", ClientSecret: d.invSecret, Logger: d.log,
	})
	if err != nil {
		return err
	}
	ord, err := d.ordersService()
	if err != nil {
		return err
	}
	page, err := shop.New(shop.Config{Issuer: d.cfg.Issuer, Self: d.url(d.shop), Orders: d.url(d.orders), ClientID: "shop-web", API: demoOrders, Logger: d.log})
	if err != nil {
		return err
	}
	single, err := spa.New(spa.Config{
		Issuer: d.cfg.Issuer, Self: d.url(d.spa), Orders: d.url(d.orders), ClientID: "spa", ClientSecret: d.spaSecret, API: demoOrders, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.start(d.inventory, inv)
	d.start(d.orders, ord)
	d.start(d.shop, page)
	d.start(d.spa, single)
	return nil
}

// ordersService follows the revocation feed, as a service of one's own would.
func (d *demo) ordersService() (http.Handler, error) {
	c := orders.Config{
		Issuer: d.cfg.Issuer, Audience: demoOrders, Algorithm: "RS256", ClientID: "orders-api", ClientSecret: d.ordersSecret,
		URL: d.url(d.orders), Inventory: d.url(d.inventory), InventoryAudience: demoInventory, Logger: d.log,
	}
	var err error
	if c.Feed, err = orders.NewFeed(c); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(d.env.ctx)
	d.unfollow = stop
	d.following.Go(func() { _ = c.Feed.Run(ctx) }) // it runs once
	return orders.New(c)
}

func (d *demo) start(ln net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	d.servers = append(d.servers, s)
	go func() {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("example service stopped", "error", err)
		}
	}()
}

func (d *demo) stop() {
	d.unfollow()
	d.following.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, s := range d.servers {
		if err := s.Shutdown(ctx); err != nil {
			d.log.Error("stop example service", "error", err)
		}
	}
}

// announce prints where to go, and the tour as lines that work when pasted.
func (d *demo) announce(at app.Address) {
	fmt.Fprintf(d.env.out, `Wafer demo. Everything is thrown away when it stops (Ctrl-C).
  open     %[2]s   the shop: press the buttons
  or       %[8]s   a single-page application whose script never sees a token
  sign in  %[3]s   %[4]s
  wafer    %[1]s   orders %[5]s   inventory %[6]s
  look in  wafer --data %[7]s user list

The same as commands, to paste into another terminal:
`, at.Issuer, d.url(d.shop), demoLogin, demoPassword, d.url(d.orders), d.url(d.inventory), at.Data, d.url(d.spa))
	for _, line := range d.tour(at) {
		fmt.Fprintln(d.env.out, line)
	}
}

// tour is the main job in commands: sign in once, use the cookie, swap it for a
// JWT, refresh, end the session, and see all of them refused.
func (d *demo) tour(at app.Address) []string {
	sign := fmt.Sprintf(`{"login":"%s","password":"%s","client_id":"shop-web","api":"%s"}`, demoLogin, demoPassword, demoOrders)
	swap := fmt.Sprintf(`{"client_id":"shop-web","api":"%s"}`, demoOrders)
	json := `-H 'Content-Type: application/json'`
	field := func(name string) string { return `sed 's/.*"` + name + `":"\([^"]*\)".*/\1/'` }
	calls := fmt.Sprintf(`curl -s -b "$J" %s/orders; curl -s -H "Authorization: Bearer $T" %s/orders`, d.url(d.orders), d.url(d.orders))
	return []string{
		"  # sign in: one login gives a cookie (kept in $J) and, for a first-party client, tokens",
		"  J=$(mktemp); A=$(curl -s -c \"$J\" " + json + " -d '" + sign + "' " + at.Issuer + "/session); echo \"$A\"",
		"  # swap the cookie for a JWT, then call the API with the cookie and with the JWT",
		"  T=$(curl -s -b \"$J\" " + json + " -d '" + swap + "' " + at.Issuer + "/session/token | " + field("access_token") + ")",
		"  " + calls,
		"  # refresh",
		"  R=$(echo \"$A\" | " + field("refresh_token") + "); curl -s -d grant_type=refresh_token -d client_id=shop-web -d refresh_token=\"$R\" " + at.Issuer + "/oauth/token",
		"  # log out, and call again: cookie, JWT and refresh token are refused",
		"  curl -s -b \"$J\" -X DELETE " + at.Issuer + "/session; sleep 1",
		"  " + calls,
		"  curl -s -d grant_type=refresh_token -d client_id=shop-web -d refresh_token=\"$R\" " + at.Issuer + "/oauth/token",
	}
}
