package main

import (
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
	"syscall"
	"time"

	"github.com/wafer-auth/wafer/examples/inventory/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "inventory:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("inventory", flag.ContinueOnError)
	f.SetOutput(out)
	var c app.Config
	f.StringVar(&c.Issuer, "issuer", "http://localhost:8080", "Wafer's `URL`")
	listen := f.String("listen", "127.0.0.1:8082", "`address` to listen on")
	hmac := f.String("hmac-file", "", "`file` with what wafer api secret printed (required)")
	f.StringVar(&c.ClientID, "client", "", "this service's client `id`; none: Wafer is not asked, which needs --stale open")
	secret := f.String("secret-file", "", "`file` with the client's secret")
	f.StringVar(&c.Stale, "stale", "degrade", "when a JWT may be revoked and nobody knows: strict, degrade or open")
	f.StringVar(&c.Audience, "audience", "https://inventory.example", "this API's `identifier`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *hmac == "" {
		return errors.New("--hmac-file is required: wafer api secret " + c.Audience + " > FILE makes it")
	}
	var err error
	if c.HMACSecret, err = readSecret(*hmac); err != nil {
		return err
	}
	if *secret != "" {
		if c.ClientSecret, err = readSecret(*secret); err != nil {
			return err
		}
	}
	h, err := app.New(c)
	if err != nil {
		return err
	}
	return serve(ctx, *listen, h, out)
}

func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	return strings.TrimRight(string(b), "\r\n"), err
}

// serve listens until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, listen string, h http.Handler, out io.Writer) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "inventory listens on http://%s\n", ln.Addr())
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
