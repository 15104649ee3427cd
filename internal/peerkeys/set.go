package peerkeys

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	mostBytes = 64 << 10
	mostKeys  = 64
	// mostTried bounds the signatures that are checked for a token without a key id.
	mostTried = 4
)

// algorithms are those that a public key may be for, with one name for each.
var algorithms = []jose.Algorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// set is a parsed key set. It never changes.
type set []member

// member is one JWK with the keys it stands for: one for each algorithm that it may
// be used with. Many clients publish keys without alg.
type member struct {
	keys  []*jose.Key
	chain []byte // the DER of the first certificate of x5c, nil for none
}

// parse reads a JWK set. What cannot verify is skipped, as RFC 7517 section 5 wants.
func parse(body []byte) (set, error) {
	if len(body) > mostBytes {
		return nil, fmt.Errorf("key set of more than %d bytes", mostBytes)
	}
	members, err := jose.Members(body)
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	at := slices.IndexFunc(members, func(m jose.Member) bool { return m.Name == "keys" })
	if at < 0 {
		return nil, errors.New("key set without keys")
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(members[at].Value, &elements); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	if len(elements) > mostKeys {
		return nil, fmt.Errorf("key set of more than %d keys", mostKeys)
	}
	all := set{}
	for _, e := range elements {
		m, ok, err := parseMember(e)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, m)
		}
	}
	return all, nil
}

func parseMember(raw []byte) (m member, ok bool, err error) {
	fields, err := jose.Members(raw)
	if err != nil {
		return m, false, fmt.Errorf("read key: %w", err)
	}
	for _, f := range fields {
		switch f.Name {
		case "d", "k":
			return m, false, nil // everybody who reads the set can sign with it
		case "x5c":
			m.chain = first(f.Value)
		}
	}
	for _, alg := range algorithms {
		if key, err := jose.ParseKeyFor(alg, raw); err == nil {
			m.keys = append(m.keys, key)
		}
	}
	return m, len(m.keys) > 0, nil
}

// first reads the certificate of the key itself, the first of x5c (RFC 7517 section
// 4.7).
func first(raw []byte) []byte {
	var chain []string
	if json.Unmarshal(raw, &chain) != nil || len(chain) == 0 {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(chain[0])
	if err != nil {
		return nil
	}
	return der
}

// find returns the keys that may check a signature: with the key id that it names, or
// those without one. Without a key id those of the algorithm are candidates, a few of
// them.
func (s set) find(kid string, alg jose.Algorithm) []*jose.Key {
	if alg == jose.Ed25519 {
		alg = jose.EdDSA
	}
	var named, nameless []*jose.Key
	for _, m := range s {
		for _, k := range m.keys {
			switch {
			case k.Algorithm() != alg:
			case kid == "" || k.ID() == kid:
				named = append(named, k)
			case k.ID() == "":
				nameless = append(nameless, k)
			}
		}
	}
	found := named
	if len(found) == 0 {
		found = nameless
	}
	return found[:min(len(found), mostTried)]
}

// certified reports whether the set has a certificate, or its key.
func (s set) certified(leaf *x509.Certificate) bool {
	thumbprint := ""
	for _, alg := range algorithms {
		if k, err := jose.NewKey(alg, "", leaf.PublicKey); err == nil {
			thumbprint = k.Thumbprint()
			break
		}
	}
	if thumbprint == "" {
		return false
	}
	// A member with a certificate stands for its key too: a renewed certificate of the
	// same key is held by the same party.
	return slices.ContainsFunc(s, func(m member) bool {
		return m.keys[0].Thumbprint() == thumbprint || m.chain != nil && string(m.chain) == string(leaf.Raw)
	})
}
