package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wafer-auth/wafer/examples/orders/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("orders", flag.ContinueOnError)
	f.SetOutput(out)
	var c app.Config
	f.StringVar(&c.Issuer, "issuer", "http://localhost:8080", "Wafer's `URL`")
	listen := f.String("listen", "127.0.0.1:8081", "`address` to listen on")
	f.StringVar(&c.ClientID, "client", "orders-api", "this service's client `id`")
	secret := f.String("secret-file", "", "`file` with the client's secret (required)")
	f.StringVar(&c.Stale, "stale", "degrade", "when a JWT may be revoked and nobody knows: strict, degrade or open")
	f.StringVar(&c.Audience, "audience", "https://orders.example", "this API's `identifier`")
	f.StringVar(&c.URL, "url", "", "`URL` at which clients reach this service; http://localhost and the port when it listens on loopback")
	f.StringVar(&c.Algorithm, "algorithm", "RS256", "`algorithm` of this API's tokens")
	f.StringVar(&c.Inventory, "inventory", "", "`URL` of the inventory service; none: it is not asked")
	f.StringVar(&c.InventoryAudience, "inventory-audience", "https://inventory.example", "the inventory API's `identifier`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *secret == "" {
		return errors.New("--secret-file is required: it holds the secret of --client")
	}
	b, err := os.ReadFile(*secret)
	if err != nil {
		return err
	}
	c.ClientSecret = strings.TrimRight(string(b), "\r\n")
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	c.URL = cmp.Or(c.URL, baseOf(ln.Addr()))
	if c.Feed, err = app.NewFeed(c); err != nil {
		return err
	}
	h, err := app.New(c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { _ = c.Feed.Run(ctx) }) // it runs once
	defer following.Wait()
	defer stop()
	return serve(ctx, ln, h, out)
}

// baseOf is how people on this machine reach a listener, "" when it is for others too:
// those have a name for it that only --url can tell.
func baseOf(a net.Addr) string {
	at, ok := a.(*net.TCPAddr)
	if !ok || !at.IP.IsLoopback() {
		return ""
	}
	return fmt.Sprintf("http://localhost:%d", at.Port)
}

// serve serves until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, ln net.Listener, h http.Handler, out io.Writer) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "orders listens on http://%s\n", ln.Addr())
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.Shutdown(ctx)
}
