// Package sessions is the HTTP surface of a person's own sessions: sign in with
// a password, see who one is, swap the cookie for a token, list and end one's
// sessions, change the password. It speaks JSON only, and every request that
// changes something passes the cross-origin rule first.
package sessions
