package main

import (
	"fmt"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
)

type relayCommand struct {
	Of           string   `name:"of" help:"URL of the Wafer whose feed is passed on." required:"" placeholder:"URL"`
	Upstream     string   `help:"The feed to follow, when it is another relay's: that relay's URL and /feed." placeholder:"URL"`
	Client       string   `help:"The relay's client; it needs the scope feed:read." required:"" placeholder:"ID"`
	SecretFile   string   `help:"File with its secret." type:"existingfile" required:"" placeholder:"FILE"`
	Listen       string   `help:"Address to serve." default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
	URL          string   `name:"url" help:"Where verifiers reach the relay. Default: localhost and the port." placeholder:"URL"`
	TLSCert      string   `name:"tls-cert" help:"Certificate, PEM, read again when it changes." type:"path" placeholder:"FILE"`
	TLSKey       string   `name:"tls-key" help:"Its private key, PEM." type:"path" placeholder:"FILE"`
	TrustedProxy []string `help:"Network of a proxy whose X-Forwarded-For is believed; may be repeated." placeholder:"CIDR"`
	LogLevel     string   `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	LogFormat    string   `help:"text or json." enum:"text,json" default:"text"`
}

// Help is shown by wafer relay --help.
func (relayCommand) Help() string {
	return "Verifiers near it name it as the URL of their feed, and register through it with their own credentials. It keeps nothing on disk.\n\n" +
		"Example:\n  wafer relay --of https://id.example.com --client relay-eu --secret-file secret --listen :8090 \\\n" +
		"    --url https://relay.example.com --tls-cert cert.pem --tls-key key.pem"
}

// Run relays until the context ends.
func (c *relayCommand) Run(e *env) error {
	cfg := config.Config{Listen: c.Listen, Issuer: c.URL, TLSCert: c.TLSCert, TLSKey: c.TLSKey}
	var err error
	if cfg.TrustedProxies, err = networks("trusted-proxy", c.TrustedProxy); err != nil {
		return err
	}
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	secret, err := secretFile(c.SecretFile)
	if err != nil {
		return err
	}
	r, err := app.NewRelay(app.RelayOptions{
		Config: cfg, Issuer: c.Of, Upstream: c.Upstream, ClientID: c.Client, ClientSecret: secret,
		Log: (&serveCommand{LogLevel: c.LogLevel, LogFormat: c.LogFormat}).logger(e),
	})
	if err != nil {
		return err
	}
	return r.Run(e.ctx, func(listen string) {
		fmt.Fprintf(e.out, "Wafer relays the feed of %s at %s/feed, on %s\n", c.Of, cfg.Issuer, listen)
	})
}
