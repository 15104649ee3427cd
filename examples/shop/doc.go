// Command shop is a page that shows what Wafer does: one login, carried by a
// cookie and by a JWT, and both refused at once.
//
//	go run ./examples/shop --issuer http://localhost:8080 --orders http://localhost:8081
package main
