package revocation

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/wafer-auth/wafer/verify/jose"
)

// LeaseKeySize is the size of a lease key in bytes.
const LeaseKeySize = 32

// answerMost bounds an answer as it is sent; it may carry frames.
const answerMost = 1 << 20

// timeMost bounds what a hub says in milliseconds: counted in nanoseconds, more
// could overflow, and an age that is less than nothing makes a lease that never ends.
const timeMost = math.MaxInt32

// SealLease gives an answer as the one verifier that holds the key can check it.
func SealLease(a Answer, leaseKey []byte) (string, error) {
	key, err := leaseKeyOf(leaseKey)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encode lease: %w", err)
	}
	sealed, err := jose.Sign(key, jose.Header{Type: LeaseType}, payload)
	if err != nil {
		return "", fmt.Errorf("seal lease: %w", err)
	}
	return sealed, nil
}

// OpenLease reads an answer that was sealed with the key. Whether it answers the
// question that was asked is the caller's to compare. An error matches ErrWire.
func OpenLease(sealed string, leaseKey []byte) (Answer, error) {
	key, err := leaseKeyOf(leaseKey)
	if err != nil {
		return Answer{}, err
	}
	m, err := jose.Parse(sealed, jose.Limits{Token: answerMost})
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrWire, err)
	}
	if m.Header.Type != LeaseType || m.Header.Algorithm != jose.HS256 {
		return Answer{}, fmt.Errorf("%w: no lease", ErrWire)
	}
	payload, err := m.Verify(key)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrWire, err)
	}
	if _, err := fields(payload, "verifier", "nonce", "epoch", "head", "age_ms", "renew_ms", "lease_ms"); err != nil {
		return Answer{}, err
	}
	var a Answer
	if err := json.Unmarshal(payload, &a); err != nil {
		return Answer{}, fmt.Errorf("%w: lease: %w", ErrWire, err)
	}
	if a.Epoch < 1 || a.Head < 0 || a.AgeMS < 0 || a.AgeMS > timeMost || !isTime(a.RenewMS) || !isTime(a.LeaseMS) {
		return Answer{}, fmt.Errorf("%w: lease with a number out of range", ErrWire)
	}
	return a, nil
}

func isTime(ms int64) bool { return ms >= 1 && ms <= timeMost }

func leaseKeyOf(b []byte) (*jose.Key, error) {
	if len(b) != LeaseKeySize {
		return nil, fmt.Errorf("%w: lease key of %d bytes", ErrWire, len(b))
	}
	key, err := jose.NewKey(jose.HS256, "", b)
	if err != nil {
		return nil, fmt.Errorf("%w: lease key: %w", ErrWire, err)
	}
	return key, nil
}
