// Package receiver is where other servers push security events: POST
// /receiver/{transmitter} (RFC 8935), and how the keys of these servers are got
// from afar without being led astray.
package receiver
