// Package verify tells who is calling: it checks the access tokens and session
// cookies that Wafer issues, in the service that receives them.
//
// A service that takes JWTs and session cookies, and feels a revocation at once:
//
//	issuer := "https://id.example"
//	keys, err := jwks.New(issuer+"/.well-known/jwks.json", jwks.Options{})
//	...
//	server, err := verify.NewServer(verify.ServerConfig{
//		Issuer: issuer, ClientID: "orders-api", ClientSecret: secret,
//	})
//	...
//	v, err := verify.New(verify.Config{
//		Issuer:     issuer,
//		Audience:   "https://orders.example",
//		Algorithms: []jose.Algorithm{jose.EdDSA},
//		Keys:       keys,
//		Server:     server,
//	})
//	...
//	mux.Handle("GET /orders", httpauth.Require(v, "orders:read")(orders))
//
// With a Feed (package revocation) nothing is asked for a token, and for a session only when it
// is first seen: what was taken back comes by itself, and verified credentials are remembered:
//
//	feed, err := revocation.New(revocation.Config{
//		Issuer: issuer, ClientID: "orders-api", ClientSecret: secret, Audience: "https://orders.example",
//	})
//	...
//	go feed.Run(ctx)
//	v, err := verify.New(verify.Config{..., Feed: feed})
//
// A service that checks JWTs by itself alone, and lets them live until they expire, leaves
// Server out and sets Stale to Open.
//
// # What is checked
//
// Of a JWT, in this order: its size; its form, to the character; typ, which must be at+jwt, so
// that no ID token or other JWT passes for an access token (RFC 9068, RFC 8725); that nothing in
// crit is asked for; the algorithm, against the list in Config; iss and aud, byte for byte; that
// exp, iat, sub, client_id and jti are there and every known claim has its type; the time; then,
// and only now, the key is looked up by kid and algorithm, and the signature is checked. Until then
// nothing the token says was used for anything but to refuse it. Last, the feed tells whether the
// token was taken back since it was minted. Without a feed, or when it is cut off for longer than
// its lease, Stale says what happens.
//
// A token that is bound to a key (cnf) is for Bound, which asks its caller for the proof; Token
// refuses it. The proof is asked for each time, whether the token is remembered or not. Possession
// checks proofs; httpauth and grpcauth have one.
//
// An opaque token or a session cookie is checked by the server (RFC 7662); the answer must be
// about the right kind of credential, issuer and audience. With a feed the answer is gone by until
// something covers the credential, for a quarter of an hour at most; without one the server is
// asked each time.
//
// A credential that passed is remembered, with a KeySet that tells when it changes: shown again it
// costs a hash and a comparison of all of its bytes, its times, the feed and the version of the
// keys. Nothing that was refused is remembered. The memory is fixed: CacheSize places in sets of
// four. When the four that a credential may have are taken, the subject with most of them gives one
// up, the newcomer counted, and between equals the one that ends first. So a subject that shows any
// number of good tokens takes at most a quarter of what others have, and only where sets are full:
// let CacheSize be four times the credentials that are in use at once.
//
// # Reasons
//
// Every error matches exactly one of the Err variables. Reason gives its code, which does not
// change within a major version, for logs and metrics. None holds any part of a credential.
//
//	code                  variable         meaning
//	credential_missing    ErrNoCredential  no credential at all
//	credential_ambiguous  ErrAmbiguous     more than one, or an unreadable one
//	cross_origin          ErrCrossOrigin   cookie and unsafe method from another origin
//	token_too_large       ErrTooLarge      longer than MaxTokenBytes
//	token_malformed       ErrMalformed     no strict compact JWS, no strict JSON inside
//	encryption_mismatch   ErrEncryption    encrypted and should not be, or the reverse
//	decrypt_failed        ErrDecrypt       no decryption key opens it
//	typ_mismatch          ErrType          a credential of another kind
//	crit_unsupported      ErrCritical      asks for an extension
//	alg_not_allowed       ErrAlgorithm     algorithm not in Config.Algorithms
//	key_unknown           ErrKeyUnknown    the issuer has no such key for this algorithm
//	signature_invalid     ErrSignature     signature does not match
//	iss_mismatch          ErrIssuer        from another issuer
//	aud_mismatch          ErrAudience      for another API
//	token_expired         ErrExpired       exp has come
//	token_not_yet         ErrNotYet        nbf or iat in the future
//	lifetime_exceeded     ErrLifetime      exp too far from iat
//	claims_invalid        ErrClaims        a claim missing or of the wrong type
//	token_revoked         ErrRevoked       the issuer says it is not active
//	binding_unsupported   ErrBinding       bound to a key that was not proved, or shown as if it were
//	proof_invalid         ErrProof         proof of possession for another key, request or token, or out of time
//	proof_replayed        ErrProofReplayed proof of possession that was shown before
//	proof_nonce           ErrProofNonce    proof of possession without a nonce of this service
//	used_elsewhere        ErrElsewhere     bound to another network or device
//	step_up_required      ErrStepUp        the same, or signed in too long ago or too weakly; signing in again helps
//	scope_insufficient    ErrScope         good, but lacks a scope
//	server_unavailable    ErrUnavailable   keys or issuer cannot be asked; try again
//	revocations_stale     ErrStale         the feed is cut off, under Strict; try again
//
// The code of any other error is "internal".
package verify
