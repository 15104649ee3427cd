// Package clients runs other people's clients against a running server: each signs in,
// calls, refreshes and signs out. Where there is one, the same client runs against
// another provider too, so that a failure is known to be the server's.
//
// It is for tests only, and a module of its own: what it needs (Go libraries, npm
// packages, Apache) is not needed by anything else.
package clients
