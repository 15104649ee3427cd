package signin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
)

// Passwords is what signing in needs of the hash gate.
type Passwords interface {
	Verify(ctx context.Context, a password.Attempt) (password.Result, error)
	Rehash(ctx context.Context, plain string) (string, error)
}

// Config is what a Service is made of. All fields are needed.
type Config struct {
	Store     Store
	Counters  limit.Store
	Passwords Passwords
	Names     *opaque.Key // keys the counters, so that they hold no logins
	Devices   *opaque.Key // signs known-device cookies
	Now       func() time.Time
}

// Service checks who somebody is.
type Service struct {
	Config
	inflight *inflight
}

// New returns a service.
func New(c Config) *Service { return &Service{Config: c, inflight: newInflight()} }

// Attempt is one try to sign in.
type Attempt struct {
	Login    string
	Password string
	Address  netip.Addr // the caller's; the zero Addr counts as one network
	Device   string     // value of the known-device cookie, "" for none
}

// Result is a proved user. Device is the value for this browser's known-device
// cookie. Guard goes into the session that is started from this: it refuses one
// from a password that was changed, or for an account that was banned, while its
// hash was being computed.
type Result struct {
	User   account.User
	Device string
	Guard  *revoke.Guard
}

// The two answers about a person. Which of wrong password, unknown user and
// disabled account it was, nobody outside learns.
var errRefused = fault.New(fault.Unauthenticated, "Wrong login or password.")

// Password checks a login and a password. Every attempt is counted before the
// hash is computed, so that parallel attempts cannot pass the limit.
func (s *Service) Password(ctx context.Context, a Attempt) (Result, error) {
	canonical, err := check(a)
	if err != nil {
		return Result{}, err
	}
	head, err := s.Store.Head(ctx) // before the account is read
	if err != nil {
		return Result{}, fmt.Errorf("read revocation log: %w", err)
	}
	user, found, err := s.Store.UserByLogin(ctx, canonical)
	if err != nil {
		return Result{}, fmt.Errorf("find user: %w", err)
	}
	known := found && s.knows(a.Device, user)
	count := s.counters(canonical, a.Address, known)
	leave, err := s.inflight.enter(ctx, count.rules)
	if err != nil {
		return Result{}, err
	}
	defer leave()
	if err := s.take(ctx, count); err != nil {
		return Result{}, err
	}
	res, err := s.Passwords.Verify(ctx, password.Attempt{Encoded: user.PasswordHash, Password: a.Password, Known: known})
	if err != nil {
		return Result{}, s.giveBack(ctx, count, err)
	}
	if !found || !res.OK || user.Disabled {
		return Result{}, s.refused(ctx, user, a, res.OK)
	}
	if err := s.Counters.Refund(ctx, count.account, count.network); err != nil {
		return Result{}, fmt.Errorf("clear counters: %w", err)
	}
	s.rehash(ctx, user, a.Password, res.Rehash)
	guard := &revoke.Guard{RSN: head, Refs: []revoke.Ref{{Kind: revoke.User, Key: user.ID}}}
	return Result{User: user, Device: s.device(user), Guard: guard}, nil
}

// check refuses what needs no look-up: an empty or oversized login or password.
func check(a Attempt) (canonical string, err error) {
	if a.Password == "" {
		return "", fault.New(fault.Invalid, "The password is empty.")
	}
	if len(a.Password) > password.MaxBytes {
		return "", fault.New(fault.Invalid, "The password is longer than 1,024 bytes.")
	}
	canonical, err = limit.Canonical(a.Login)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "The login is empty, too long, or holds characters that no login has.")
	}
	return canonical, nil
}

// counted names the counters of one attempt.
type counted struct {
	rules            []limit.Rule
	account, network []string
}

// counters are one for the account, whatever it was spelled like, and some for
// the caller's network. A known device has an account counter of its own: what
// strangers do to the account does not delay its owner.
func (s *Service) counters(canonical string, address netip.Addr, known bool) counted {
	name := s.Names.MAC("account", canonical)
	key := fmt.Sprintf("%x", name[:16])
	if known {
		key += "/known"
	}
	rule := limit.AccountRule(key)
	c := counted{rules: []limit.Rule{rule}, account: []string{rule.Key}}
	for _, r := range limit.NetworkRules(address) {
		c.rules = append(c.rules, r)
		c.network = append(c.network, r.Key)
	}
	return c
}

func (s *Service) take(ctx context.Context, c counted) error {
	wait, err := s.Counters.Attempt(ctx, c.rules, s.Now())
	if err != nil {
		return fmt.Errorf("count attempt: %w", err)
	}
	if wait > 0 {
		return fault.New(fault.TooMany, "Too many attempts. Try again later.").Retry(wait)
	}
	return nil
}

// giveBack undoes the count of an attempt whose password was never checked.
func (s *Service) giveBack(ctx context.Context, c counted, cause error) error {
	back := append(append([]string(nil), c.account...), c.network...)
	if err := s.Counters.Refund(context.WithoutCancel(ctx), nil, back); err != nil {
		return fmt.Errorf("give back attempt: %w", errors.Join(err, cause))
	}
	var busy *password.BusyError
	if errors.As(cause, &busy) {
		return fault.Wrap(cause, fault.Busy, "Many people are signing in right now. Try again in a moment.").Retry(busy.RetryAfter)
	}
	return fmt.Errorf("check password: %w", cause)
}

// refused writes down what happened and returns the one public answer.
func (s *Service) refused(ctx context.Context, user account.User, a Attempt, matched bool) error {
	why := "wrong password"
	switch {
	case user.ID == "":
		why = "unknown login"
	case user.Disabled && matched:
		why = "account disabled"
	}
	e := audit.Event{At: s.Now(), Action: "signin.refused", Target: user.ID, Detail: why}
	if a.Address.IsValid() {
		e.Address = a.Address.String()
	}
	if err := s.Store.Audit(ctx, e); err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	return errRefused
}

// rehash brings a stored hash up to the current parameters. It is the least
// urgent work there is: when the gate is busy it waits for the next login.
func (s *Service) rehash(ctx context.Context, user account.User, plain string, due bool) {
	if !due {
		return
	}
	next, err := s.Passwords.Rehash(ctx, plain)
	if err != nil {
		return
	}
	_, err = s.Store.Rehash(ctx, user.ID, user.PasswordHash, next)
	if err != nil {
		return // the old hash still works
	}
}
