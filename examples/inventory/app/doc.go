// Package app is the example API "inventory": the service behind orders. Its
// tokens are signed with an HMAC secret that it shares with Wafer.
package app
