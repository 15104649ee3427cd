// Package token knows the shapes of what is handed out: the claims of an access
// token (RFC 9068), the opaque form, and refresh tokens. It decides nothing.
package token
