// Package pgtest runs a private PostgreSQL for tests, from the programs that are
// installed: one server for a test process, a new database for each test. Without
// PostgreSQL a test that needs it is skipped, and says so; with
// WAFER_REQUIRE_SERVICES=1 it fails instead.
//
//	Process.Database: a new database on the server of the process
//	Start: a server of one test's own, to stop, to crash and to let stand still
package pgtest
