// Package app is the demo shop: a server-rendered page that calls the orders API
// with the session cookie and with a JWT, side by side, and measures how long
// both live on after a log-out.
//
//	browser -> shop -> orders -> inventory
//
// The browser holds the session cookie and nothing else. JWT and refresh token
// stay in the shop's memory, under a random cookie of its own, and no credential
// is ever whole in a page. Every button is a form that posts and comes back to the
// page with a redirect; there is no script.
//
// Like every service that reads the session cookie, the shop stands on the host of
// the issuer (ports do not separate cookies).
package app
