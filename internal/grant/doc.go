// Package grant decides who gets which token. Every path that mints a token
// (login, swap, code, device, refresh, client credentials, exchange) passes one function,
// authorizeIssuance, over one state that was read in one snapshot together with
// the log position the token will carry.
//
// A grant is what a user gave a client: a session, an API, scopes. It owns one
// family of refresh tokens, of which one generation is current:
//
//	gen n --refresh(n)--> gen n+1              rotated
//	gen n --refresh(n-1) within the window-->  the same n+1 again: a race
//	gen n --refresh(anything older)-->         the session ends: a theft
package grant
