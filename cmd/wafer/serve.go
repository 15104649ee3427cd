package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/bound"
)

type serveCommand struct {
	Listen          string        `help:"Address to serve. Without --tls for loopback only, or behind a trusted proxy. Default: 127.0.0.1:8080." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Issuer          string        `help:"Our name in every token: scheme://host[:port]. Default: localhost and the port of --listen." placeholder:"URL"`
	TLS             string        `name:"tls" help:"HTTPS: dev (a certificate of our own development CA), acme (one from Let's Encrypt or another ACME server), files. Default: plain HTTP." placeholder:"MODE"`
	TLSCert         string        `name:"tls-cert" help:"Own certificate, PEM, read again when it changes." type:"path" placeholder:"FILE"`
	TLSKey          string        `name:"tls-key" help:"Its private key, PEM." type:"path" placeholder:"FILE"`
	ACMEEmail       string        `name:"acme-email" help:"Whom the ACME server writes to." placeholder:"ADDRESS"`
	ACMEDirectory   string        `name:"acme-directory" help:"The ACME server. Default: Let's Encrypt, whose terms you agree to." placeholder:"URL"`
	ACMERoot        string        `name:"acme-ca-root" help:"Roots by which a private ACME server is believed, PEM." type:"path" placeholder:"FILE"`
	HTTPRedirect    string        `name:"http-redirect" help:"Second address that sends plain HTTP to the issuer, or off. Default with --tls acme: :80." placeholder:"HOST:PORT"`
	Apply           []string      `help:"Declared set-up to apply before serving; may be repeated." type:"existingfile" placeholder:"FILE"`
	Demo            bool          `help:"Serve with a seeded user, three clients and three example services, in a throwaway folder."`
	TrustedProxy    []string      `help:"Network of a proxy whose X-Forwarded-For is believed; may be repeated." placeholder:"CIDR"`
	MTLS            string        `name:"mtls" help:"Where clients show their certificates: the issuer, or another name of this server. Default: nowhere." placeholder:"URL"`
	ClientCA        string        `name:"client-ca" help:"Roots that clients' certificates lead to, PEM, for tls_client_auth." type:"path" placeholder:"FILE"`
	ClientCert      string        `name:"client-cert-header" help:"Header in which the trusted proxy passes the client's certificate." placeholder:"NAME"`
	Outbound        []string      `help:"Private network that may be posted to and fetched from: logout notices, security events, keys; may be repeated." placeholder:"CIDR"`
	Registration    string        `help:"Who may register a client themselves: off, token (who has an invitation, see wafer client invite) or open (everybody). Default: off." placeholder:"MODE"`
	RegisterAPI     []string      `name:"registration-api" help:"API that such clients may ask for, as ID=SCOPE,SCOPE; may be repeated. Default: none, they may know who a person is." sep:"none" placeholder:"ID=SCOPES"`
	RegisterProfile string        `name:"registration-profile" help:"What confidential ones are held to: strict, fapi2 or certification. Default: strict." placeholder:"PROFILE"`
	ClientDocuments bool          `name:"client-documents" help:"Let the address of a metadata document be a client id."`
	BindNetwork     string        `help:"What the sessions of our own pages are worth on another network: report, step-up or refuse. Default: as much." placeholder:"MODE"`
	BindDevice      string        `help:"The same for another kind of device." placeholder:"MODE"`
	SessionIdle     time.Duration `help:"End sessions that were not used for so long." default:"12h"`
	SessionLifetime time.Duration `help:"End every session after so long." default:"168h"`
	RotateKeys      time.Duration `help:"Replace signing keys of this age; 0 never does." default:"2160h"`
	HashWorkers     int           `help:"Passwords hashed at once, 19 MiB each. Default: one a core." placeholder:"N"`
	LogLevel        string        `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	LogFormat       string        `help:"text or json." enum:"text,json" default:"text"`
}

// Help is shown by wafer serve --help.
func (serveCommand) Help() string {
	return "Examples:\n  wafer serve --demo\n  wafer serve --apply setup.yaml\n" +
		"  wafer serve --tls dev\n" +
		"  wafer serve --tls acme --listen :443 --issuer https://id.example.com --acme-email ops@example.com\n" +
		"  wafer serve --issuer https://id.example.com --trusted-proxy 127.0.0.1/32"
}

// Run serves until the context ends.
func (c *serveCommand) Run(e *env) error {
	cfg, err := c.config(e)
	if err != nil {
		return err
	}
	log := c.logger(e)
	if c.Demo && cfg.TLS != config.TLSOff {
		return errors.New("demo: its services speak plain HTTP on loopback; leave --tls out")
	}
	if c.Demo {
		return serveDemo(e, cfg, c.Apply, log)
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	a, err := app.New(e.ctx, app.Options{Config: cfg, Log: log})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := applyFiles(e, a, c.Apply); err != nil {
		return err
	}
	return a.Run(e.ctx, func(at app.Address) { announce(e, a, at) })
}

func (c *serveCommand) config(e *env) (config.Config, error) {
	cfg := config.Config{
		Listen: c.Listen, Issuer: c.Issuer, Data: e.data, Sessions: e.sessions, Database: e.database, KeyFile: e.keyFile,
		TLS: c.TLS, TLSCert: c.TLSCert, TLSKey: c.TLSKey, HTTPRedirect: c.HTTPRedirect,
		ACMEEmail: c.ACMEEmail, ACMEDirectory: c.ACMEDirectory, ACMERoot: c.ACMERoot,
		MTLS: c.MTLS, ClientCA: c.ClientCA, ClientCertHeader: c.ClientCert,
		Bind:        bound.Policy{Network: bound.Mode(c.BindNetwork), Device: bound.Mode(c.BindDevice)},
		SessionIdle: c.SessionIdle, SessionLifetime: c.SessionLifetime, RotateKeys: c.RotateKeys, HashWorkers: c.HashWorkers,
	}
	var err, err2 error
	cfg.TrustedProxies, err = networks("trusted-proxy", c.TrustedProxy)
	cfg.Outbound, err2 = networks("outbound", c.Outbound)
	apis, err3 := scopesByAPI(c.RegisterAPI)
	cfg.Registration, cfg.RegistrationAPIs, cfg.RegistrationProfile, cfg.ClientDocuments = c.Registration, apis, c.RegisterProfile, c.ClientDocuments
	if err := errors.Join(err, err2, err3); err != nil {
		return config.Config{}, err
	}
	return cfg.WithDefaults(), nil
}

func networks(flag string, texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: write a network such as 10.0.0.0/8 or 127.0.0.1/32", flag, text)
		}
		all = append(all, p)
	}
	return all, nil
}

func (c *serveCommand) logger(e *env) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(e.err, opts))
	}
	return slog.New(slog.NewTextHandler(e.err, opts))
}

// applyFiles brings the installation to each declared set-up in turn.
func applyFiles(e *env, a *app.App, files []string) error {
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("read set-up: %w", err)
		}
		res, err := a.Apply(e.ctx, f, text)
		if err != nil {
			var refused *fault.Error
			if errors.As(err, &refused) {
				return fmt.Errorf("apply %s: %s", f, refused.Public)
			}
			return fmt.Errorf("apply %s: %w", f, err)
		}
		printReport(e, f, res.Changes, res.Warnings)
	}
	return nil
}

// announce says where the server is and how to begin, in a few lines.
func announce(e *env, a *app.App, at app.Address) {
	fmt.Fprintf(e.out, "Wafer serves %s on %s\n", at.Issuer, at.Listen)
	fmt.Fprintf(e.out, "  data     %s (%s; every change is on disk before it is acknowledged)\n", at.Data, at.Database)
	if at.Sessions != "" {
		fmt.Fprintf(e.out, "  sessions %s\n", at.Sessions)
	}
	for _, risk := range at.Risks {
		fmt.Fprintf(e.out, "  warning  %s\n", risk)
	}
	fmt.Fprintf(e.out, "  sign in  %s/login\n", at.Issuer)
	if at.Trust != "" {
		fmt.Fprintf(e.out, "  trust    the development CA: curl --cacert %s %s/healthz\n", at.Trust, at.Issuer)
	}
	if at.Redirect != "" {
		fmt.Fprintf(e.out, "  HTTP     %s sends everybody to %s\n", at.Redirect, at.Issuer)
	}
	if token, offered := a.Bootstrap(); offered {
		fmt.Fprintf(e.out, "  first administrator: open %s/setup within 15 minutes with this one-time token\n           %s\n", at.Issuer, token)
	}
}
