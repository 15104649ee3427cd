// Package redistest runs a private Redis for tests: the installed redis-server (or
// valkey-server) on loopback and on a Unix socket, with a folder of its own, that
// can be killed, stopped, started again on what it left, and frozen. A test is
// skipped, and says so, where none is installed; with WAFER_REQUIRE_SERVICES=1 it
// fails instead.
package redistest
