package app

import "github.com/wafer-auth/wafer/internal/web/https"

// DatabaseVault is the vault in a database.
func DatabaseVault(s settings) https.Vault { return databaseVault{s} }
