// Package jose signs and checks JSON Web Tokens in the one strict form that
// Wafer uses: compact JWS, compact JWE around a compact JWS, and JSON Web Keys.
// The server mints with it and every verifier checks with it, so that both
// sides read a token the same way.
//
// It is strict on purpose. What it refuses:
//
//   - any character outside the base64url alphabet, padding, line breaks and
//     non-canonical trailing bits: a token has exactly one spelling;
//   - JSON with duplicate member names at any depth, invalid UTF-8, lone
//     surrogates, deep nesting, or anything after the one value;
//   - every "crit" and "b64" header: no extension is understood here;
//   - tokens and headers over a size limit, before anything is allocated;
//   - the algorithm named by a token unless the key is bound to it. A [Key]
//     has one algorithm for life; "none" does not exist. Keys or key addresses
//     inside a token (jwk, jku, x5c, x5u) are never read;
//   - short HMAC secrets, RSA keys under 2048 bits, points off their curve;
//   - encryption without a signature: [Encrypt] takes and [Decrypt] returns a
//     compact JWS, which still has to be verified.
//
// Signatures: HS256/384/512, RS256/384/512, PS256/384/512, ES256/384/512 and
// Ed25519 (named "EdDSA" by RFC 8037 and "Ed25519" by RFC 9864). Encryption:
// RSA-OAEP-256, ECDH-ES and ECDH-ES+A256KW, always with A256GCM.
//
// Claims are not this package's business: [Members] and the readers beside it
// hand out the members of a verified payload, package verify judges them.
package jose
