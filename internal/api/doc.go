// Package api describes the protected services (OAuth resource servers): the
// audience, and how the access tokens for it look, are signed and how long they
// live.
package api
