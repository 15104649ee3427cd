// Package interop tests verify together with the libraries of others, in a module of its own, so
// that nobody who imports verify gets them.
//
// Package jose is compared with three other libraries: what one side signs or encrypts the other
// must read, and whatever jose accepts after a token was tampered with the others must accept too.
// Package httpauth guards a WebSocket: pages of others cannot open it, and it ends with the
// credential that opened it.
package interop
