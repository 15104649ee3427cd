// Package sqlstore keeps everything in one SQL database: a file of SQLite, or a
// server of PostgreSQL that several nodes share. Nothing is acknowledged before it
// is on disk.
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
// them all. After an I/O error of a file nothing is written any more (see
// ErrBroken): a second try may report as written what the first one lost.
//
// The statements are one text for both. What differs is an engine: how to connect,
// how one writes alone, and what errors mean. With a server the transaction that
// writes holds a lock among all nodes, and a connection that is lost is made anew.
//
// Reads have their own connections and see the last commit. Whatever must be
// read at one moment is read by one statement.
//
// Who waits for the log is woken after the commit, in this process by a bell and on
// other nodes by a notification that the commit carries. Neither says more than
// that something may be there, and nothing rests on its being heard.
//
// Sessions alone can have a database of their own (OpenSessions).
//
// What the log and its positions need stands in columns; a registered thing
// (user, client, API, role) is a row of its keys, its version and one JSON
// document, so that a new field needs no migration. Times are microseconds since
// 1970, identifiers are text, digests are bytes.
package sqlstore
