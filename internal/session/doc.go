// Package session keeps one record for each login: who, how, since when, and
// until when. The browser holds a 256-bit secret; the store holds its SHA-256.
//
//	(none) --Start--> live --Renew--> live (new secret) --end--> gone
//
// A session dies when it was not used for its idle limit, when its absolute
// limit is reached, or when an entry of the revocation log covers it. Nothing
// revives it.
package session
