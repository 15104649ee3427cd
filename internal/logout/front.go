package logout

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Sessions ends sessions.
type Sessions interface {
	EndAt(ctx context.Context, e session.EndOne) (seq int64, found bool, err error)
}

// Log is where it is written which clients had a part in what ended.
type Log interface {
	Revocations(ctx context.Context, after int64, limit int) ([]revoke.Recorded, error)
}

// Front ends sessions in the browser that they are in, where clients can be told by
// having a page of theirs loaded (OpenID Connect Front-Channel Logout 1.0). Browsers
// that keep the cookies of other sites apart make it worth little: back-channel
// notices are what counts, and go out besides.
type Front struct {
	Issuer   string
	Sessions Sessions
	Log      Log
	Clients  Clients
}

// End ends a session, as session.Keeper.End does, and returns the pages that the
// browser is to load: of each client that had a part in it and has one, sorted.
func (f Front) End(ctx context.Context, e session.EndOne) (pages []string, err error) {
	seq, found, err := f.Sessions.EndAt(ctx, e)
	if err != nil || !found {
		return nil, err
	}
	entries, err := f.Log.Revocations(ctx, seq-1, 1)
	if err != nil {
		return nil, fmt.Errorf("read who took part: %w", err)
	}
	if len(entries) == 0 || entries[0].Kind != revoke.Session || entries[0].Key != e.ID {
		return nil, nil // purged already: nobody waited this long
	}
	for _, id := range entries[0].Clients {
		c, found, err := f.Clients.ClientByID(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("find client: %w", err)
		}
		if !found || c.Disabled || c.OAuth.FrontchannelLogoutURI == "" {
			continue
		}
		page, err := f.page(c, e.ID)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	slices.Sort(pages)
	return slices.Compact(pages), nil
}

// page is the address of a client's page, which says whose session ended when the
// client wants that (section 3).
func (f Front) page(c client.Client, sid string) (string, error) {
	if !c.OAuth.FrontchannelLogoutSession {
		return c.OAuth.FrontchannelLogoutURI, nil
	}
	u, err := url.Parse(c.OAuth.FrontchannelLogoutURI)
	if err != nil {
		return "", fmt.Errorf("read frontchannel_logout_uri of %s: %w", c.ID, err)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.Values{"iss": {f.Issuer}, "sid": {sid}}.Encode()
	return u.String(), nil
}
