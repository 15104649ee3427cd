// Package verifytest is an issuer for tests: real discovery, real keys, real
// introspection, on loopback and gone when the test ends.
//
//	issuer := verifytest.NewIssuer(t)
//	handler := httpauth.Require(issuer.Verifier(), "orders:read")(orders)
//
//	r := httptest.NewRequest("GET", "/orders", nil)
//	r.Header.Set("Authorization", "Bearer "+issuer.Token(verifytest.Scope("orders:read")))
//
// Tokens, opaque tokens and session cookies are good unless a Claim makes them bad. Revoke ends
// them, Rotate changes the key, Fail takes the issuer away, WithClock moves time. Feed is for what
// must end with its credential, such as streams. Prover is a client with a key, for tokens that are
// bound to one. Nothing here is fit for production: whoever holds
// the issuer can mint anything.
package verifytest
