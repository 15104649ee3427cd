// Package browsertest drives a real Chromium over our pages, for tests: what a
// browser does with cookies, policies and redirects is decided by browsers, not by
// documents. A test is skipped, and says so, where there is no Chromium; with
// WAFER_REQUIRE_SERVICES=1 it fails instead.
package browsertest
