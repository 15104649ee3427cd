// Package oauth is the protocol surface: the token, revocation and introspection
// endpoints, the metadata and the key set. No cookie means anything here: a
// client proves who it is with its own credentials, once, in one way.
package oauth
