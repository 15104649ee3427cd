// Package redis keeps session records in Redis or Valkey (session.Home), shared by
// all nodes.
//
// Under a prefix ("wafer:" unless told otherwise) stand
//
//	r:SECRET  the record, under the digest of its secret: a load is one GET
//	i:SID     the card of a session: its secret, its user and its client
//	u:USER    the sids of a user      c:CLIENT  of a client      all  of everybody
//	dead      the sids, by the time at which each is dead
//	format    "1": how all this is written
//
// Every change is one script, so nobody ever sees half of one, and a script does
// at most a few hundred records, so nobody waits long for another's.
//
// Records alone have a time to live, an hour longer than they may be used: what
// nobody purges goes by itself. It never decides whether a session is live. The
// lists have none, so that a Redis which evicts keys with a time to live loses
// sessions, never the means to end them; the purge tidies lists up.
//
// A cluster is refused: the keys of one session do not share a slot.
package redis
