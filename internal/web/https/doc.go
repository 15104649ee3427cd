// Package https gives the server its certificate, keeps it fresh while
// connections stay open, and sends plain HTTP to the issuer.
//
//	files ── read again when they change ──┐
//	dev ──── signed by a CA of our own ────┼── Front ── tls.Config of the server
//	acme ─── ordered, kept in a Vault ─────┘      └──── Handler of plain HTTP
//
// A handshake takes whatever certificate is in force at that moment, so a new
// one ends no connection.
package https
