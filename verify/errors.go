package verify

import (
	"errors"
	"fmt"

	"github.com/wafer-auth/wafer/verify/jose"
)

// refusal is one reason to say no: a stable code for logs and metrics, and a
// sentence for people. Neither ever holds anything out of the credential.
type refusal struct {
	code string
	text string
}

func (r *refusal) Error() string { return r.text }

// The reasons for which a credential is refused. Every error of this module
// matches exactly one of them with errors.Is, and Reason gives its code.
var (
	// ErrNoCredential: the request carries no credential at all.
	ErrNoCredential error = &refusal{"credential_missing", "no credential"}
	// ErrAmbiguous: the request carries more than one credential, or one that cannot be read.
	ErrAmbiguous error = &refusal{"credential_ambiguous", "more than one credential, or an unreadable one"}
	// ErrCrossOrigin: a cookie came with an unsafe method from another origin.
	ErrCrossOrigin error = &refusal{"cross_origin", "cross-origin request with a session cookie"}
	// ErrTooLarge: the credential is longer than the limit.
	ErrTooLarge error = &refusal{"token_too_large", "credential is too large"}
	// ErrMalformed: the credential is not what it claims to be, character by character.
	ErrMalformed error = &refusal{"token_malformed", "credential is malformed"}
	// ErrEncryption: an encrypted token where a signed one is expected, or the reverse.
	ErrEncryption error = &refusal{"encryption_mismatch", "token is encrypted and should not be, or the reverse"}
	// ErrDecrypt: no decryption key opens the token. There is no finer answer on purpose.
	ErrDecrypt error = &refusal{"decrypt_failed", "token cannot be decrypted"}
	// ErrType: a genuine credential of another kind, such as an ID token.
	ErrType error = &refusal{"typ_mismatch", "credential is of another kind"}
	// ErrCritical: the header names a critical extension nobody here understands.
	ErrCritical error = &refusal{"crit_unsupported", "token has an unsupported critical header"}
	// ErrAlgorithm: the algorithm is not on the verifier's list.
	ErrAlgorithm error = &refusal{"alg_not_allowed", "token algorithm is not allowed"}
	// ErrKeyUnknown: the issuer has no key of this id for this algorithm.
	ErrKeyUnknown error = &refusal{"key_unknown", "token key is not known"}
	// ErrSignature: the signature does not match.
	ErrSignature error = &refusal{"signature_invalid", "token signature is invalid"}
	// ErrIssuer: the issuer is not, byte for byte, the configured one.
	ErrIssuer error = &refusal{"iss_mismatch", "token is from another issuer"}
	// ErrAudience: the token is not for this API.
	ErrAudience error = &refusal{"aud_mismatch", "token is for another audience"}
	// ErrExpired: the time of exp has come.
	ErrExpired error = &refusal{"token_expired", "token has expired"}
	// ErrNotYet: nbf or iat lies in the future.
	ErrNotYet error = &refusal{"token_not_yet", "token is not valid yet"}
	// ErrLifetime: exp lies further from iat than MaxLifetime.
	ErrLifetime error = &refusal{"lifetime_exceeded", "token lives longer than allowed"}
	// ErrClaims: a required claim is missing, or a claim has the wrong type.
	ErrClaims error = &refusal{"claims_invalid", "token claims are missing or of the wrong type"}
	// ErrRevoked: the issuer says the credential is not active: revoked, ended, expired or never issued.
	ErrRevoked error = &refusal{"token_revoked", "credential is not active at the issuer"}
	// ErrBinding: the token is bound to a key, and that was not proved: it came as a bearer token, without
	// the client's certificate, or the service cannot check proofs. Or a bearer token came as a bound one.
	ErrBinding error = &refusal{"binding_unsupported", "token is bound to a key that was not proved"}
	// ErrProof: the proof of possession is wrong: for another key, request or token, out of time, malformed.
	ErrProof error = &refusal{"proof_invalid", "proof of possession is invalid"}
	// ErrProofReplayed: the proof was shown before.
	ErrProofReplayed error = &refusal{"proof_replayed", "proof of possession was shown before"}
	// ErrProofNonce: the proof does not hold the nonce that this service wants; the answer has one.
	ErrProofNonce error = &refusal{"proof_nonce", "proof of possession lacks a nonce of this service"}
	// ErrElsewhere: the credential is bound to another network or device (package bound).
	ErrElsewhere error = &refusal{"used_elsewhere", "credential is bound to another network or device"}
	// ErrStepUp: the same, or the sign-in is too old or too weak for this route; signing in again helps.
	ErrStepUp error = &refusal{"step_up_required", "the person must sign in again"}
	// ErrScope: the credential is good, but lacks a scope.
	ErrScope error = &refusal{"scope_insufficient", "credential lacks a required scope"}
	// ErrUnavailable: the keys or the issuer cannot be asked now. Try again; the credential may be good.
	ErrUnavailable error = &refusal{"server_unavailable", "issuer cannot be asked now"}
	// ErrStale: the revocation feed is cut off, and the policy is Strict. Try again; the credential may be good.
	ErrStale error = &refusal{"revocations_stale", "revocations are not known up to now"}
)

// Reason gives the stable code of an error of this module, as listed in the
// package comment: "" for nil, "internal" for an error that is none of ours.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return "internal"
}

// fromJOSE gives an error of package jose its reason here.
func fromJOSE(err error) error {
	for _, m := range joseReasons {
		if errors.Is(err, m.jose) {
			return m.ours
		}
	}
	return ErrMalformed
}

var joseReasons = []struct{ jose, ours error }{
	{jose.ErrTooLarge, ErrTooLarge},
	{jose.ErrSignature, ErrSignature},
	{jose.ErrAlgorithm, ErrAlgorithm},
	{jose.ErrCritical, ErrCritical},
	{jose.ErrDecrypt, ErrDecrypt},
	{jose.ErrKey, ErrKeyUnknown},
	{jose.ErrMalformed, ErrMalformed},
}

// unavailable keeps the cause for the log.
func unavailable(doing string, cause error) error {
	if errors.Is(cause, ErrUnavailable) {
		return cause
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, cause)
}

// keyError gives a key set's error its reason. A key set that fails in its own
// way has not said that the key does not exist.
func keyError(err error) error {
	if errors.Is(err, ErrKeyUnknown) {
		return ErrKeyUnknown
	}
	return unavailable("find the key", err)
}
