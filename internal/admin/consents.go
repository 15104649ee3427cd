package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Consents keep what people allowed. See consent.Store.
type Consents interface {
	ConsentsOf(ctx context.Context, userID string) ([]consent.Consent, error)
	WithdrawConsent(ctx context.Context, userID, clientID string, make func(grantIDs []string) revoke.Effects) (bool, error)
}

// Access is what a person allowed one application.
type Access struct {
	Client client.Client
	About  []string // the identity scopes, sorted, each once
	APIs   []Reach
	Since  time.Time // when the first of it was allowed
}

// Reach is what an application may do at one API.
type Reach struct {
	Name   string // of the API
	Scopes []string
}

// AccessOf lists what a person allowed, sorted by client.
func (s *Service) AccessOf(ctx context.Context, userID string) ([]Access, error) {
	all, err := s.Store.ConsentsOf(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	var out []Access
	for _, c := range all {
		if len(out) == 0 || out[len(out)-1].Client.ID != c.ClientID {
			found, err := s.Client(ctx, c.ClientID)
			if fault.Is(err, fault.NotFound) {
				continue // removed meanwhile, and its consents with it
			}
			if err != nil {
				return nil, err
			}
			out = append(out, Access{Client: found, Since: c.GivenAt})
		}
		if err := s.addReach(ctx, &out[len(out)-1], c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// addReach adds one consent to what its client may do.
func (s *Service) addReach(ctx context.Context, a *Access, c consent.Consent) error {
	if c.GivenAt.Before(a.Since) {
		a.Since = c.GivenAt
	}
	about, ofAPI := oidc.SplitScopes(c.Scopes)
	a.About = append(a.About, about...)
	slices.Sort(a.About)
	a.About = slices.Compact(a.About)
	if len(ofAPI) == 0 {
		return nil
	}
	at, found, err := s.Store.APIByID(ctx, c.APIID)
	if err != nil {
		return fmt.Errorf("find API: %w", err)
	}
	name := c.APIID
	if found && at.Name != "" {
		name = at.Name
	}
	a.APIs = append(a.APIs, Reach{Name: name, Scopes: ofAPI})
	return nil
}

// Withdrawal is what a person takes back from an application.
type Withdrawal struct {
	UserID    string
	ClientID  string
	SessionID string // the session it is done in, which lives on
}

// WithdrawAccess takes back everything that a person allowed an application: its
// grants end with their tokens, and so do the sessions that it has of its own, as
// devices have. It asks again next time. There being nothing to take back is no error.
func (s *Service) WithdrawAccess(ctx context.Context, w Withdrawal) error {
	mine, err := s.Sessions.List(ctx, w.UserID)
	if err != nil {
		return err
	}
	now := s.Now()
	_, err = s.Store.WithdrawConsent(ctx, w.UserID, w.ClientID, func(grants []string) revoke.Effects {
		fx := revoke.Effects{Audit: []audit.Event{{
			At: now, Action: "consent.withdraw", Actor: w.UserID, Target: w.UserID, Client: w.ClientID, Session: w.SessionID,
			Detail: fmt.Sprintf("%d grants", len(grants)),
		}}}
		for _, id := range grants {
			fx.Revoke = append(fx.Revoke, revoke.New(revoke.Grant, id, "consent", now).Named(w.UserID, w.ClientID))
		}
		for _, one := range mine {
			if one.ClientID == w.ClientID && one.ID != w.SessionID {
				fx.Revoke = append(fx.Revoke, revoke.New(revoke.Session, one.ID, "consent", now).Named(w.UserID, w.ClientID))
			}
		}
		return fx
	})
	if err != nil {
		return fmt.Errorf("withdraw consent: %w", err)
	}
	return nil
}
