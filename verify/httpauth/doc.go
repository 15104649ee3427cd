// Package httpauth puts a verify.Verifier in front of net/http handlers.
//
//	mux.Handle("GET /orders", httpauth.Require(v, "orders:read")(orders))
//
// and inside the handler
//
//	id, _ := httpauth.From(r.Context())
//
// # Which credential counts
//
// A bearer token in the Authorization header; without one, the session cookie, when the
// verifier has a server to ask about it. Never both: beside a bearer token the cookie is not
// even read. Two Authorization headers or two session cookies are refused, because nobody can
// say which one a proxy in front has looked at. Tokens in the query or in a form are ignored.
//
// The cookie is found in the raw header: its name must be there byte for byte, since a
// parser that trims spaces lets a neighbour site plant a cookie of the same name. A request
// with a cookie and an unsafe method, or one that opens a WebSocket, must also come from the same
// origin, as http.CrossOriginProtection understands it; a request that tells neither
// Sec-Fetch-Site nor Origin does not come from a browser and passes.
//
// # Answers
//
//	status  error                when
//	401     -                    no credential
//	401     invalid_token        the credential is refused, for whatever reason
//	403     insufficient_scope   it is good, but lacks a scope; the header lists all that are needed
//	403     cross_origin         cookie and unsafe method from another origin
//	400     invalid_request      more than one credential, or an unreadable one
//	431     invalid_request      the Cookie header is over 8 KiB
//	503     unavailable          the issuer or its keys cannot be asked; Retry-After says when to try again
//
// The answers are bland on purpose. The reason stands in the log, one line for each refusal at
// level Info, with the code that verify.Reason gives and never any part of the credential.
package httpauth
