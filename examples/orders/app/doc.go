// Package app is the example API "orders": a service that accepts a bearer JWT or
// a session cookie, and asks a second service behind it. It uses nothing of Wafer
// but the verify module, as any user's service would.
package app
