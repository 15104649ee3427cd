package https

import "github.com/caddyserver/certmagic"

// NewStorage is a vault as certmagic sees it.
func NewStorage(o Options) certmagic.Storage { return newStorage(o) }
