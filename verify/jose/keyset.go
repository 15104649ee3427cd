package jose

import "encoding/json"

// Caps on a key set. An issuer publishes a handful of keys.
const (
	maxKeySet  = 256 << 10
	maxSetKeys = 128
)

// KeySet is a set of keys, as an issuer publishes it.
type KeySet []*Key

// ParseKeySet reads a JWK set (RFC 7517 section 5) and keeps the public half of
// every key that can verify. Keys that ParseKey refuses (unknown type, no or
// unknown algorithm, for encryption, weak) and symmetric keys, which a published
// set makes worthless, are skipped. Broken JSON, a set without a "keys" array, an
// element that is no object, or two kept keys with the same kid and algorithm is
// ErrMalformed; over 256 KiB or 128 keys is ErrTooLarge.
func ParseKeySet(b []byte) (KeySet, error) {
	if len(b) > maxKeySet {
		return nil, ErrTooLarge
	}
	fields, err := scanObject(b, nil)
	if err != nil {
		return nil, err
	}
	raw, ok := jwk{fields}.raw("keys")
	if !ok {
		return nil, malformed("JWK set without keys")
	}
	elements, err := scanArray(raw)
	if err != nil {
		return nil, err
	}
	if len(elements) > maxSetKeys {
		return nil, ErrTooLarge
	}
	set := KeySet{}
	for _, e := range elements {
		if e[0] != '{' {
			return nil, malformed("JWK is not an object")
		}
		k, err := ParseKey(e)
		if err != nil || k.alg.Symmetric() {
			continue
		}
		for _, other := range set {
			if other.id == k.id && other.alg.matches(k.alg) {
				return nil, malformed("two keys with one kid and algorithm")
			}
		}
		set = append(set, k.Public())
	}
	return set, nil
}

// Find returns the key with this id that is bound to alg. Without an id it returns
// the key of that algorithm if there is exactly one.
func (s KeySet) Find(kid string, alg Algorithm) (*Key, bool) {
	var found *Key
	for _, k := range s {
		if !k.alg.matches(alg) {
			continue
		}
		if kid != "" {
			if k.id == kid {
				return k, true
			}
			continue
		}
		if found != nil {
			return nil, false
		}
		found = k
	}
	return found, found != nil
}

// MarshalJSON returns the JWK set with public members only. HMAC keys are left
// out: they must never be published.
func (s KeySet) MarshalJSON() ([]byte, error) {
	public := []*Key{}
	for _, k := range s {
		if !k.alg.Symmetric() {
			public = append(public, k)
		}
	}
	return json.Marshal(struct {
		Keys []*Key `json:"keys"`
	}{public})
}
