// Package manage is the management API under /api/v1: JSON over HTTP, for the
// command line, scripts and dashboards. Every row of its table asks for a scope;
// a row that names none does not exist. Nobody gives away, or touches what holds,
// more management scopes than they have themselves.
package manage
