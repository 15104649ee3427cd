// Command orders is an example API. It accepts a bearer JWT or a session cookie
// of Wafer, with the scope orders:read, at GET /orders. With --url it takes tokens
// that are bound to a key too; when that is the API's identifier, it describes itself
// to clients that were never told of it (RFC 9728).
//
//	go run ./examples/orders --issuer http://localhost:8080 --listen 127.0.0.1:8081 \
//	    --client orders-api --secret-file orders.secret
package main
