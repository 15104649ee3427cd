package authorize

import (
	"context"
	"fmt"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Allow answers with a code: the person said yes on the consent page that text is
// of. It counts only in the browser and the session that were asked.
func (s *Service) Allow(ctx context.Context, text string, w Who) (Answer, error) {
	st, err := s.decided(text, w)
	if err != nil {
		return Answer{}, err
	}
	c, err := s.still(ctx, st.Request)
	if err != nil {
		return Answer{}, err
	}
	if _, err := s.Grants.Preview(ctx, st.Request, *w.Session); err != nil {
		d, err := s.give(ctx, st.Request, ended(err)) // nothing is remembered of who is no longer there
		return d.Answer, err
	}
	if err := s.remember(ctx, c, st, *w.Session); err != nil {
		return Answer{}, err
	}
	d, err := s.code(ctx, st.Request, *w.Session, st.Scopes)
	return d.Answer, err
}

// Deny answers that the person said no. Nothing else changes.
func (s *Service) Deny(ctx context.Context, text string, w Who) (Answer, error) {
	st, err := s.decided(text, w)
	if err != nil {
		return Answer{}, err
	}
	if _, err := s.still(ctx, st.Request); err != nil {
		return Answer{}, err
	}
	d, err := s.give(ctx, st.Request, refuse(oidc.AccessDenied, "The person said no."))
	return d.Answer, err
}

// decided opens what a consent page brought back.
func (s *Service) decided(text string, w Who) (step, error) {
	if w.Session == nil || w.Browser == "" {
		return step{}, errFlow
	}
	var st step
	err := s.open(text, stepPlace(w), &st)
	return st, s.fresh(st.Request, err)
}

// remember keeps the consent. It is kept for clients that ask every time too, so that
// people see whom they allowed what, and can take it back.
func (s *Service) remember(ctx context.Context, c client.Client, st step, sess session.Session) error {
	now, scopes := s.now(), asked(st.Request, st.Scopes)
	done, err := s.Consents.GiveConsent(ctx, consent.Consent{
		UserID: sess.UserID, ClientID: c.ID, APIID: st.Request.APIID, Scopes: scopes, GivenAt: now, UpdatedAt: now,
	}, revoke.Effects{Audit: []audit.Event{{
		At: now, Action: "consent.give", Actor: sess.UserID, Target: sess.UserID, Client: c.ID, Session: sess.ID, Detail: audit.Clip(st.Request.APIID),
	}}})
	if err != nil {
		return fmt.Errorf("keep consent: %w", err)
	}
	if !done {
		return session.ErrGone
	}
	return nil
}
