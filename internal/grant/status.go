package grant

import (
	"context"
	"errors"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

// status is where the status of a token will be found that is about to be signed
// with key. The tokens of a session share a place, a client's own have one each.
// Nothing is signed when what allowed the token was taken back after its state was
// read: the list would never say so.
func (s *Service) status(ctx context.Context, a token.Access, to *api.API, key *jose.Key) (token.Status, error) {
	if s.Statuses == nil {
		return token.Status{}, errors.New("api " + to.ID + " wants status lists, and there are none")
	}
	h := statuslist.Holder{SessionID: a.SessionID, GrantID: a.GrantID, ClientID: a.ClientID, APIID: to.ID, KeyID: key.ID()}
	if a.SessionID != "" {
		h.UserID = a.Subject
	} else {
		h.TokenID = a.ID
	}
	r, err := s.Statuses.Assign(ctx, h, a.RSN, a.ExpiresAt)
	if errors.Is(err, statuslist.ErrEnded) {
		// Roles may have changed, or a session ended: asked again, it is known which.
		return token.Status{}, fault.Wrap(err, fault.Unavailable, "What allowed this was changed meanwhile. Try again.").Retry(time.Second)
	}
	return token.Status(r), err
}

// endStatus takes the place of a token back before the token itself is: the log
// names the token, and the place may be that of others of its session too. Those
// are refused with it where lists are read, and the next one has another place.
func (s *Service) endStatus(ctx context.Context, a token.Access) error {
	if !a.SharesStatus() || s.Statuses == nil {
		return nil
	}
	return s.Statuses.End(ctx, statuslist.Ref(a.Status))
}
