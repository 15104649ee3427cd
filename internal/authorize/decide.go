package authorize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/session"
)

// Next is what stands between a request and its answer.
type Next int

// The steps.
const (
	SignIn  Next = iota + 1 // somebody must prove who they are, though somebody may be signed in
	Consent                 // the person must be asked
	Done                    // the answer is there
)

// Who is in front: the browser, and the session in it.
type Who struct {
	Browser string           // the secret that the request is bound to
	Session *session.Session // nil: nobody is signed in
}

// Decision is what happens next to a request.
type Decision struct {
	Next   Next
	Client client.Client
	Scopes []string // with Consent: what the client will have
	API    string   // with Consent: the name of the API that those are of
	Step   string   // with Consent: what Allow and Deny want back
	Answer Answer   // with Done
}

// Decide says what happens next. Every condition is looked at anew each time, against
// the request as it was read: nothing in the address bar can skip one.
func (s *Service) Decide(ctx context.Context, r oidc.Request, w Who) (Decision, error) {
	c, err := s.still(ctx, r)
	if err != nil {
		return Decision{}, err
	}
	signIn, err := s.missing(r, w.Session)
	if err != nil {
		return s.give(ctx, r, err)
	}
	if signIn {
		return Decision{Next: SignIn, Client: c}, nil
	}
	scopes, err := s.Grants.Preview(ctx, r, *w.Session)
	if gone(err) {
		return s.again(ctx, c, r)
	}
	if err != nil {
		return s.give(ctx, r, err)
	}
	shown := asked(r, scopes)
	ask, err := s.mustAsk(ctx, c, r, consentFor{w.Session.UserID, shown})
	switch {
	case err != nil:
		return Decision{}, err
	case !ask:
		return s.code(ctx, r, *w.Session, scopes)
	case r.Asks(promptNone):
		return s.give(ctx, r, refuse(oidc.ConsentRequired, "The person must be asked first."))
	}
	return s.ask(ctx, step{Request: r, Scopes: scopes}, Decision{Next: Consent, Client: c, Scopes: shown}, w)
}

// ask fills in what the consent page needs.
func (s *Service) ask(ctx context.Context, st step, d Decision, w Who) (Decision, error) {
	a, _, err := s.APIs.APIByID(ctx, st.Request.APIID)
	if err != nil {
		return Decision{}, fmt.Errorf("find API: %w", err)
	}
	d.API = a.Name
	d.Step, err = s.seal(st, stepPlace(w))
	return d, err
}

// still finds the client of a request that was read a while ago.
func (s *Service) still(ctx context.Context, r oidc.Request) (client.Client, error) {
	c, err := s.client(ctx, r.ClientID)
	if err == nil && !c.MaySend(r.RedirectURI) {
		return client.Client{}, errRedirect
	}
	return c, err
}

// gone reports whether a flow says that the session has ended.
func gone(err error) bool {
	var why *oidc.Error
	return errors.Is(err, session.ErrGone) || errors.As(err, &why) && why.Code == oidc.InvalidGrant
}

// ended says to a client that the session is no longer there, if err says so to us.
func ended(err error) error {
	if gone(err) {
		return refuse(oidc.LoginRequired, "The session has ended.")
	}
	return err
}

// again is for a session that ended since it was looked up.
func (s *Service) again(ctx context.Context, c client.Client, r oidc.Request) (Decision, error) {
	if r.Asks(promptNone) {
		return s.give(ctx, r, refuse(oidc.LoginRequired, "Nobody is signed in."))
	}
	return Decision{Next: SignIn, Client: c}, nil
}

// MustSignIn reports whether the person in front has to prove who they are for this
// request, though they may be signed in.
func (s *Service) MustSignIn(r oidc.Request, sess *session.Session) bool {
	signIn, err := s.missing(r, sess)
	return signIn && err == nil
}

// missing reports whether somebody must sign in, or refuses where no sign-in helps or
// nobody may be asked.
func (s *Service) missing(r oidc.Request, sess *session.Session) (bool, error) {
	why := s.unfit(r, sess)
	switch {
	case why != "" && r.Asks(promptNone):
		return false, refuse(oidc.LoginRequired, why)
	case why != "" && sess != nil && !sess.AuthTime.Before(r.Started):
		return false, refuse(oidc.LoginRequired, why) // they did sign in for this request, and it is still not so
	case why != "":
		return true, nil
	}
	if r.Claims != nil && len(r.Claims.ACR) > 0 && !slices.Contains(r.Claims.ACR, sess.ACR()) {
		return false, refuse(oidc.UnmetAuthRequirements, "No sign-in here reaches the acr that the request calls essential.")
	}
	return false, nil
}

// unfit says why a session will not do for a request, "" when it does.
func (s *Service) unfit(r oidc.Request, sess *session.Session) string {
	if sess == nil {
		return "Nobody is signed in."
	}
	fresh := !sess.AuthTime.Before(r.Started)
	switch {
	case !fresh && (r.Asks(promptLogin) || r.Asks(promptSelect)):
		return "The person must sign in anew."
	case !fresh && r.MaxAge != nil && s.now().Sub(sess.AuthTime) > time.Duration(*r.MaxAge)*time.Second:
		return "The last sign-in is older than max_age."
	case r.HintSub != "" && r.HintSub != sess.UserID, r.Claims != nil && r.Claims.Sub != "" && r.Claims.Sub != sess.UserID:
		return "Somebody else is signed in."
	}
	return ""
}

// consentFor is what is asked of whom.
type consentFor struct {
	user   string
	scopes []string
}

// mustAsk reports whether the person must be asked.
func (s *Service) mustAsk(ctx context.Context, c client.Client, r oidc.Request, f consentFor) (bool, error) {
	switch {
	case r.Asks(promptConsent):
		return true, nil
	case c.SkipsConsent():
		return false, nil
	case c.OAuth.Consents == client.Ask || Unassured(c, r.RedirectURI):
		return true, nil
	}
	given, found, err := s.Consents.ConsentFor(ctx, f.user, c.ID, r.APIID)
	if err != nil {
		return false, fmt.Errorf("find consent: %w", err)
	}
	return !found || !given.Covers(f.scopes), nil
}

// Unassured reports whether anything on the person's machine could be who asks: a
// public client that is answered on a loopback address or a scheme of its own has
// nothing to show for itself (RFC 8252 section 8.6).
func Unassured(c client.Client, redirect string) bool {
	return c.Kind == client.Public && !c.FirstParty && !strings.HasPrefix(redirect, "https://")
}

// give answers with a refusal, and uses a pushed request up. What is none is handed
// on.
func (s *Service) give(ctx context.Context, r oidc.Request, err error) (Decision, error) {
	var why *oidc.Error
	if !errors.As(err, &why) {
		return Decision{}, err
	}
	if err := s.use(ctx, r); err != nil {
		return Decision{}, err
	}
	return Decision{Next: Done, Answer: s.refusal(r, why)}, nil
}

// code answers with a code. A pushed request is used up first: of two answers in a
// race one has a code.
func (s *Service) code(ctx context.Context, r oidc.Request, sess session.Session, scopes []string) (Decision, error) {
	if err := s.use(ctx, r); err != nil {
		return Decision{}, err
	}
	text, err := s.Grants.OpenCode(ctx, r, sess, scopes)
	var why *oidc.Error
	if errors.As(ended(err), &why) {
		return Decision{Next: Done, Answer: s.refusal(r, why)}, nil
	}
	if err != nil {
		return Decision{}, err
	}
	return Decision{Next: Done, Answer: s.answer(r, Field{"code", text})}, nil
}
