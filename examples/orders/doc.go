// Command orders is an example API. It accepts a bearer JWT or a session cookie
// of Wafer, with the scope orders:read, at GET /orders. A token that is bound to a key
// by DPoP needs its proof for this service's --base.
//
//	go run ./examples/orders --issuer http://localhost:8080 --listen 127.0.0.1:8081 \
//	    --client orders-api --secret-file orders.secret
package main
