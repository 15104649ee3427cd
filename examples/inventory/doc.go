// Command inventory is an example API behind another one. It accepts a bearer JWT
// signed with HS256, with the scope inventory:read, at GET /inventory.
//
//	wafer api secret https://inventory.example > inventory.hmac
//	go run ./examples/inventory --issuer http://localhost:8080 --listen 127.0.0.1:8082 \
//	    --hmac-file inventory.hmac --client inventory-api --secret-file inventory.secret
package main
