// Package pages serves what people see: sign-in, sign-out, their account and the
// first set-up. Every page is rendered here and works without JavaScript.
//
//	chain (middleware) -> cross-origin rule -> session (unless public) -> form code -> handler
//
// Who is not signed in is redirected to the sign-in page when a person is looking
// and gets 401 as JSON when it is a script.
//
// A page is one file here, one template, one row of routes, its texts in the
// catalogue and a golden file.
package pages
