// Command spa is a single-page application whose script never sees a token: its
// small backend signs people in at Wafer, keeps the tokens, and calls the orders
// API for the page.
//
//	wafer client add spa --kind confidential --first-party --grant refresh_token --api https://orders.example=orders:read
//	go run ./examples/spa --issuer http://localhost:8080 --orders http://localhost:8081 --client spa --secret-file spa.secret
package main
