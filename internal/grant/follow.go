package grant

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
)

// feedScope is what a client needs to follow the revocation feed.
const feedScope = "feed:read"

// Follower returns the client that credentials prove, if it may follow the
// revocation feed. A public client proves nothing and may not.
func (s *Service) Follower(ctx context.Context, c Credentials) (clientID string, err error) {
	found, err := s.Authenticate(ctx, c)
	if err != nil {
		return "", err
	}
	return found.ID, mayFollow(&found)
}

// MayFollow returns nil if a client may still follow the revocation feed, and a
// fault if it may not.
func (s *Service) MayFollow(ctx context.Context, clientID string) error {
	st, err := s.Store.Snapshot(ctx, Query{ClientID: clientID})
	if err != nil {
		return fmt.Errorf("read client: %w", err)
	}
	return mayFollow(st.Client)
}

func mayFollow(c *client.Client) error {
	if c == nil || c.Disabled || c.Kind == client.Public || !allows(c.APIs[api.Management], feedScope) {
		return fault.New(fault.Forbidden, "The client needs the scope "+feedScope+" of the management API.")
	}
	return nil
}

// MayTell reports whether a client may tell of the use of sessions: it is one that
// may ask about them.
func (s *Service) MayTell(ctx context.Context, clientID string) (bool, error) {
	st, err := s.Store.Snapshot(ctx, Query{ClientID: clientID})
	if err != nil {
		return false, fmt.Errorf("read client: %w", err)
	}
	return st.Client != nil && !st.Client.Disabled && allows(st.Client.APIs[api.Management], "sessions:check"), nil
}
