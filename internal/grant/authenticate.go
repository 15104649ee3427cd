package grant

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// Credentials are how a client proves who it is.
type Credentials struct {
	ID     string
	Secret string
	Basic  bool // sent in the Authorization header
}

// Authenticate returns the client that the credentials prove. A public client
// has an id and no secret. Every refusal is one InvalidClient, in one time.
func (s *Service) Authenticate(ctx context.Context, c Credentials) (client.Client, error) {
	st, err := s.Store.Snapshot(ctx, Query{ClientID: c.ID})
	if err != nil {
		return client.Client{}, fmt.Errorf("read client: %w", err)
	}
	var want opaque.Digest
	if st.Client != nil {
		want = st.Client.SecretHash
	}
	match := SecretCode(s.Secrets, c.ID, c.Secret).Equal(want)
	switch {
	case st.Client == nil || st.Client.Disabled:
	case st.Client.Kind == client.Public && c.Secret == "" && !c.Basic:
		return *st.Client, nil
	case st.Client.Kind == client.Confidential && match:
		return *st.Client, nil
	}
	return client.Client{}, refuse(InvalidClient, "Client authentication failed.")
}

// SecretCode is what is stored of a client's secret. It is keyed, because people
// choose secrets: a copy of the database alone does not let anybody guess them.
func SecretCode(k *opaque.Key, clientID, secret string) opaque.Digest {
	return k.MAC("client", clientID, secret)
}
