package app

import (
	"context"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/oauth"
)

// registration is how clients that no operator adds come to be.
func (a *App) registration() admin.Registration {
	out := admin.Registration{
		Documents: a.config.ClientDocuments, Loopback: a.config.OutboundLoopback(), APIs: a.config.RegistrationAPIs,
		Profile: client.Profile(a.config.RegistrationProfile), Log: a.log,
		Methods: []client.AuthMethod{client.AuthSecretBasic, client.AuthSecretPost, client.AuthPrivateKeyJWT},
		Fetch: func(ctx context.Context, uri string, bytes int64) (admin.Fetched, error) {
			d, err := a.outward.courier.Fetch(ctx, uri, bytes)
			return admin.Fetched(d), err
		},
	}
	switch a.config.Registration {
	case config.RegistrationToken:
		out.Mode = admin.RegistrationToken
	case config.RegistrationOpen:
		out.Mode = admin.RegistrationOpen
	}
	if a.config.MTLS != "" {
		out.Methods = append(out.Methods, client.AuthSelfSignedTLS)
	}
	if a.config.ClientCA != "" {
		out.Methods = append(out.Methods, client.AuthTLS)
	}
	return out
}

// registers gives the endpoints of clients what is switched on.
func (a *App) registers(c oauth.Config) oauth.Config {
	if a.config.Registers() {
		c.Registrar = a.admin
	}
	if a.config.ClientDocuments {
		c.Documents = a.admin.RefreshDocument
	}
	return c
}
