// Package role is a named set of scopes, for each API, that users are given.
package role
