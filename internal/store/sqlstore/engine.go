package sqlstore

import "context"

// An engine is what differs between databases. The statements do not.
type engine interface {
	// alone reports whether nobody else changes the database. What is known in
	// memory of a commit is then true until our next one.
	alone() bool
	// dial makes a connection.
	dial(ctx context.Context, writes bool) (link, error)
	// bound is the context of what runs on a connection for the caller of ctx.
	bound(ctx context.Context) (context.Context, context.CancelFunc)
	// script runs statements that give nothing back, in one message where the
	// database is far.
	script(c *conn, statements ...string) error
	// begin starts a transaction beside which no other writes.
	begin(c *conn) error
	// commit makes it durable. After an error nobody knows whether it is.
	commit(c *conn) error
	// dead reports whether a connection is of no more use after err.
	dead(l link, err error) bool
	// ofStorage reports whether an error is about the storage, not about the
	// change that met it: its neighbors would meet it too.
	ofStorage(err error) bool
	// breaks reports whether an error makes what is stored doubtful.
	breaks(err error) bool
	// explain turns an error that passes, and is not the caller's, into
	// fault.Unavailable.
	explain(err error) error
	// taken reports whether a unique key was taken.
	taken(err error) bool
	// most is how many changes share a transaction at most.
	most() int
}

// A pipeliner sends many runs of a statement in one go.
type pipeliner interface {
	pipeline(c *conn, query string, all [][]any) ([]int64, error)
}
