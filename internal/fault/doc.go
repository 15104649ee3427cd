// Package fault is the one kind of error that the product shows to people: a
// code that picks the status, a public sentence, and a cause that is logged but
// never shown. Any other error is a bug or a broken part: it means 500.
package fault
