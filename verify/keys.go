package verify

import (
	"context"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// StaticKeys is a KeySet of fixed keys: an HMAC secret shared with the issuer,
// or a pinned public key. Nil keys are left out. A single key without an id
// answers for every kid of its algorithm: whoever copied a secret into a file
// need not copy its kid too.
func StaticKeys(keys ...*jose.Key) KeySet {
	return staticKeys(slices.DeleteFunc(slices.Clone(keys), func(k *jose.Key) bool { return k == nil }))
}

type staticKeys jose.KeySet

var _ VersionedKeySet = staticKeys(nil)

// Version implements VersionedKeySet: the keys never change.
func (s staticKeys) Version(time.Time) uint64 { return 1 }

func (s staticKeys) Key(_ context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	k, ok := jose.KeySet(s).Find(kid, alg)
	if !ok && len(s) == 1 && s[0].ID() == "" {
		k, ok = jose.KeySet(s).Find("", alg)
	}
	if !ok {
		return nil, ErrKeyUnknown
	}
	return k, nil
}
