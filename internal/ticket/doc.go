// Package ticket is what may be used once, or for a short while: a pushed
// authorization request, a device code on its way to a decision, the id of an
// assertion or of a proof that was seen. One port serves them all, so that "once"
// means the same everywhere: one conditional statement, whatever the backend and
// however many nodes.
package ticket
