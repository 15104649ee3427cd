package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/wafer-auth/wafer/examples/shop/app"
)

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("shop", flag.ContinueOnError)
	var c app.Config
	f.StringVar(&c.Issuer, "issuer", "http://localhost:8080", "where Wafer is")
	f.StringVar(&c.Self, "self", "http://localhost:3000", "where browsers find the shop; same host as the issuer, else the session cookie does not come along")
	f.StringVar(&c.Orders, "orders", "http://localhost:8081", "URL of the orders API")
	f.StringVar(&c.ClientID, "client", "shop-web", "client id of the shop")
	f.StringVar(&c.API, "api", "https://orders.example", "id of the orders API")
	listen := f.String("listen", "127.0.0.1:3000", "address to serve")
	if err := f.Parse(args); err != nil {
		return err
	}
	h, err := app.New(c)
	if err != nil {
		return err
	}
	fmt.Printf("shop serves %s\n", c.Self)
	s := &http.Server{Addr: *listen, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return s.ListenAndServe()
}
