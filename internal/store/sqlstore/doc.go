// Package sqlstore keeps everything in one SQL database, SQLite for now. Nothing
// is acknowledged before it is on disk.
//
// Changes queue up for one goroutine, which owns the only connection that
// writes. It takes what is waiting, runs it in one transaction, each change in a
// savepoint of its own, and commits once for all:
//
//	change --queue--> savepoint --ok--> release --+
//	                      |                       +--> commit --> acknowledged
//	                      +-failed-> roll back ---+
//
// A change that fails never takes its neighbors along; a commit that fails fails
// them all. After an I/O error nothing is written any more (see ErrBroken): a
// second try may report as written what the first one lost.
//
// Reads have their own connections and see the last commit. Whatever must be
// read at one moment is read by one statement.
//
// What the log and its positions need stands in columns; a registered thing
// (user, client, API, role) is a row of its keys, its version and one JSON
// document, so that a new field needs no migration. Times are microseconds since
// 1970, identifiers are text, digests are bytes.
package sqlstore
