// Package receiver is where other servers push security events: POST
// /receiver/{transmitter} (RFC 8935).
package receiver
