package app

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/logout"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/internal/web/courier"
	webreceiver "github.com/wafer-auth/wafer/internal/web/receiver"
	webssf "github.com/wafer-auth/wafer/internal/web/ssf"
)

// outward is what tells other parties, and hears from them, of what was taken back.
type outward struct {
	courier *courier.Courier
	keys    *peerkeys.Keys
	outbox  *outbox.Outbox
	signals *ssf.Service
}

func (a *App) newOutward() (o outward, err error) {
	o.courier, err = courier.New(courier.Config{Issuer: a.config.Issuer, Allow: a.config.Outbound})
	if err != nil {
		return o, fmt.Errorf("make the sender of notices: %w", err)
	}
	o.keys = a.newKeys(o.courier)
	logouts, err := logout.New(logout.Config{
		Issuer: a.config.Issuer, Clients: a.store, Signer: a.eventsKey, Post: o.courier.Post, Now: a.now,
	})
	if err != nil {
		return o, fmt.Errorf("make logout notices: %w", err)
	}
	o.signals, err = ssf.New(ssf.Config{
		Issuer: a.config.Issuer, Store: a.store, Clients: a.store, Users: a.store, Signer: a.eventsKey, Post: o.courier.Post,
		Seal: a.root.Derive("ssf receivers"), Now: a.now, Log: a.log,
	})
	if err != nil {
		return o, fmt.Errorf("make shared signals: %w", err)
	}
	o.outbox, err = outbox.New(outbox.Config{
		Queue: a.store, Log: a.store, Topics: []outbox.Topic{logouts, o.signals}, Now: a.now, Logger: a.log, Await: a.store.AwaitRevocations,
	})
	if err != nil {
		return o, fmt.Errorf("make the outbox: %w", err)
	}
	return o, nil
}

// signals is where receivers of shared signals manage their streams.
func (a *App) signals() *webssf.Surface {
	return webssf.New(webssf.Config{Issuer: a.config.Issuer, Tokens: a.grants, Streams: a.outward.signals, Events: a.outward.signals, Log: a.log})
}

// receiver takes security events from those who are trusted with it.
func (a *App) receiver() *webreceiver.Surface {
	return webreceiver.New(webreceiver.Config{Log: a.log, Events: receiver.New(receiver.Config{
		Store: a.store, People: admin.People{In: a.store}, Keys: a.transmitterKey, Revoke: a.admin.Obey, Secrets: a.root.Derive("client secrets"),
		Issuer: a.config.Issuer, Now: a.now,
	})})
}

// tidyOutward removes what nobody is to be told any more.
func (a *App) tidyOutward(ctx context.Context) error {
	if err := a.outward.outbox.Purge(ctx); err != nil {
		return err
	}
	return a.outward.signals.Tidy(ctx)
}
