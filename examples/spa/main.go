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

	"github.com/wafer-auth/wafer/examples/spa/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "spa:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("spa", flag.ContinueOnError)
	f.SetOutput(out)
	var c app.Config
	f.StringVar(&c.Issuer, "issuer", "http://localhost:8080", "Wafer's `URL`")
	listen := f.String("listen", "127.0.0.1:3001", "`address` to listen on")
	f.StringVar(&c.Self, "self", "http://localhost:3001", "`URL` by which browsers find the application; https unless it is this machine")
	f.StringVar(&c.Orders, "orders", "http://localhost:8081", "`URL` of the orders API")
	f.StringVar(&c.ClientID, "client", "spa", "the application's client `id`")
	secret := f.String("secret-file", "", "`file` with the client's secret (required)")
	f.StringVar(&c.API, "api", "https://orders.example", "`identifier` of the orders API")
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
	h, err := app.New(c)
	if err != nil {
		return err
	}
	return serve(ctx, *listen, h, out)
}

// serve listens until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, listen string, h http.Handler, out io.Writer) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second}
	fmt.Fprintf(out, "spa listens on http://%s\n", ln.Addr())
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
