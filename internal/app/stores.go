package app

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

// openStore opens the database of a data folder. A new backend is one line here.
func openStore(ctx context.Context, d *dataDir) (store.Store, error) {
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: d.file("wafer.db")})
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}
