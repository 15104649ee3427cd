// Package app is a backend for a frontend (RFC 10017): a page whose script never
// sees a token, and the few lines of server that make it so.
//
//	browser  --cookie-->  this backend  --access token-->  orders
//	                           |
//	                           +--login, refresh, sign-out-->  Wafer
//
// The page is static. Its script asks same-origin endpoints below /api/ and gets
// JSON. The browser holds one cookie, a random value that no script can read; the
// backend keeps, under its SHA-256, what Wafer gave: access token, refresh token
// and session cookie. They are in memory only: a restart signs everybody out here,
// and their sessions at Wafer end by themselves.
//
// Wafer decides. Each call is checked by it, directly or through orders, and when
// it says that a session is over, the entry is dropped and the page shows the
// sign-in form. Sign-out drops the entry first and tells Wafer then, so that a
// Wafer that does not answer cannot keep anybody in.
//
// The client is confidential and has no origins at Wafer: a page that could ask
// Wafer itself could get a token. In front of Wafer the backend is a proxy: name
// its network with --trusted-proxy, else all its people share one address in the
// counters of failed logins.
package app
