// Package audit names what happened and who did it. An event is written in the
// same transaction as the change it tells of, so that neither exists alone.
package audit
