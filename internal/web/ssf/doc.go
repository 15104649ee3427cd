// Package ssf is where receivers of shared signals manage their streams and come for
// events (OpenID Shared Signals Framework 1.0, RFC 8936), and where they learn of it
// all: /.well-known/ssf-configuration. A receiver shows an access token for the
// management API with the scope ssf:read or ssf:manage, and sees its own streams only.
package ssf
