package app

import (
	"context"

	"github.com/wafer-auth/wafer/internal/web/https"
)

// DatabaseVault is the vault in a database.
func DatabaseVault(s settings) https.Vault { return databaseVault{s} }

// Warm does what a server does beside its first requests.
func Warm(ctx context.Context, a *App) { a.warm(ctx) }
