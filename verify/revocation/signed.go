package revocation

import (
	"fmt"

	"github.com/wafer-auth/wafer/verify/jose"
)

// KeyFinder finds a public key of the issuer's feed by its id.
type KeyFinder func(kid string) (*jose.Key, error)

// openSigned checks a JWS of one type, signed by a feed key, and returns its
// payload. No other algorithm than Ed25519 is for feeds.
func openSigned(text, typ string, most int, find KeyFinder) ([]byte, error) {
	m, err := jose.Parse(text, jose.Limits{Token: most})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWire, err)
	}
	if m.Header.Type != typ {
		return nil, fmt.Errorf("%w: of type %.40q", ErrWire, m.Header.Type)
	}
	if m.Header.Algorithm != jose.EdDSA && m.Header.Algorithm != jose.Ed25519 {
		return nil, fmt.Errorf("%w: signed by algorithm %s", ErrWire, m.Header.Algorithm)
	}
	key, err := find(m.Header.KeyID)
	if err != nil {
		return nil, err
	}
	payload, err := m.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWire, err)
	}
	return payload, nil
}

// fields reads an object that must have members of these names; further ones are
// of a later release and ignored.
func fields(object []byte, names ...string) (map[string][]byte, error) {
	members, err := jose.Members(object)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWire, err)
	}
	found := make(map[string][]byte, len(members))
	for _, m := range members {
		found[m.Name] = m.Value
	}
	for _, name := range names {
		if found[name] == nil {
			return nil, fmt.Errorf("%w: without %s", ErrWire, name)
		}
	}
	return found, nil
}

// text and number read one member that fields has found.
func text(found map[string][]byte, name string) (string, error) {
	s, err := jose.String(found[name])
	if err != nil {
		return "", fmt.Errorf("%w: %s is no string", ErrWire, name)
	}
	return s, nil
}

func number(found map[string][]byte, name string) (int64, error) {
	n, err := jose.Int64(found[name])
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: %s is no position", ErrWire, name)
	}
	return n, nil
}
