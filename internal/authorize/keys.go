package authorize

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Inline finds keys in the key set that is registered with a client, and nowhere
// else.
type Inline struct{}

var _ Keys = Inline{}

// Candidates implements Keys. Keys that cannot be used are passed over.
func (Inline) Candidates(_ context.Context, c client.Client, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	if len(c.OAuth.JWKS) == 0 || alg.Symmetric() {
		return nil, nil
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(c.OAuth.JWKS, &set); err != nil {
		return nil, fmt.Errorf("read key set of client %s: %w", c.ID, err)
	}
	var keys []*jose.Key
	for _, raw := range set.Keys {
		key, err := jose.ParseKeyFor(alg, raw)
		if err != nil || key.Algorithm() != alg || kid != "" && key.ID() != "" && key.ID() != kid {
			continue
		}
		keys = append(keys, key)
	}
	return keys, nil
}
