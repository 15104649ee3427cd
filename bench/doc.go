// Command bench measures Wafer and prints each figure as a ratio against a floor
// of the same run: raw cryptography, a bare handler, a peer library. Where there is
// a budget, the row says so, and whether it was met. It is never part of the tests.
//
//	make bench                 all rows
//	BENCH='jose|set' make bench
//
// BENCH is a regular expression that picks from these:
//
//	jose sign ALG, jose verify ALG     against crypto/*, go-jose, golang-jwt
//	server ...                         start, memory, endpoints; against a bare handler and npm oidc-provider (npm ci in clients/node)
//	sessions KIND request|crowd        a kind of store, against scs over the same kind
//	guarded KIND                       a service behind httpauth that follows the feed, against itself bare and behind golang-jwt, jwx, scs
//	first sight                        a token never seen before, and one seen before
//	set lookup, memory-set             what a verifier keeps of the feed
//	feed to N verifiers                from a revocation to the last verifier that refuses, and what followers cost the server
//
// One JSON object a line, then a table.
package main
