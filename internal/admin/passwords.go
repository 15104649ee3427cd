package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
)

// checkPassword is the one place that says which passwords may be set.
func (s *Service) checkPassword(u account.User, plain string) error {
	err := s.Policy.Check(plain, u.Login, u.Name, s.Issuer)
	var refusal *password.Refusal
	if errors.As(err, &refusal) {
		return fault.Wrap(err, fault.Invalid, refusal.Sentence)
	}
	return err
}

func (s *Service) checkNewPassword(u account.User, plain, hash string) error {
	switch {
	case plain != "" && hash != "":
		return fault.New(fault.Invalid, "Give a password or a password hash, not both.")
	case plain != "":
		return s.checkPassword(u, plain)
	case hash != "":
		return checkHash(hash)
	}
	return nil
}

func (s *Service) checkPasswordEdit(u account.User, e UserEdit) error {
	switch {
	case e.Password != nil && e.PasswordHash != nil:
		return fault.New(fault.Invalid, "Give a password or a password hash, not both.")
	case e.Password != nil:
		return s.checkPassword(u, *e.Password)
	case e.PasswordHash != nil:
		return checkHash(*e.PasswordHash)
	}
	return nil
}

func checkHash(encoded string) error {
	if err := password.Supported(encoded); err != nil {
		return fault.Wrap(err, fault.Invalid, "The password hash has a form or a cost that is not supported.")
	}
	return nil
}

// PasswordChange is a person's own change of password.
type PasswordChange struct {
	UserID  string
	Current string
	New     string
}

// ChangePassword sets a person's password, if they know the current one, and ends
// every session of theirs in the same transaction: the caller starts another one for
// the browser it was changed in (session.Keeper.Succeed). A wrong current
// password is fault.Forbidden; guesses are counted, fault.TooMany.
func (s *Service) ChangePassword(ctx context.Context, c PasswordChange) error {
	u, err := s.findUser(ctx, c.UserID)
	if err != nil {
		return err
	}
	if u.Disabled {
		return fault.New(fault.Forbidden, "This account is disabled.")
	}
	if err := s.prove(ctx, u, c.Current); err != nil {
		return err
	}
	if err := s.checkPassword(u, c.New); err != nil {
		return err
	}
	if c.New == c.Current {
		return fault.New(fault.Invalid, "The new password is the current one.")
	}
	hash, err := s.Passwords.Hash(ctx, c.New)
	if err != nil {
		return busy(err, "hash password")
	}
	next := u
	next.PasswordHash, next.PasswordChangedAt, next.UpdatedAt = hash, s.Now(), s.Now()
	fx, err := s.Sessions.OthersEnding(ctx, u.ID, "", u.ID, "password")
	if err != nil {
		return err
	}
	fx.Audit = append(fx.Audit, s.events(By{Actor: u.ID}, "user.edit", u.ID, userChanges(u, next))...)
	// Not tried again: the current password was proved against this version.
	done, err := s.Store.ChangeUser(ctx, next, fx)
	if err != nil {
		return wrap(err, "change password")
	}
	if !done {
		return errOvertaken
	}
	return nil
}

// prove checks the current password. It is counted before it is checked, so that
// parallel guesses from a stolen session cannot pass the limit.
func (s *Service) prove(ctx context.Context, u account.User, current string) error {
	if current == "" || len(current) > password.MaxBytes {
		return fault.New(fault.Invalid, "The current password is empty or too long.")
	}
	rule := limit.AccountRule("current password/" + u.ID)
	wait, err := s.Store.Attempt(ctx, []limit.Rule{rule}, s.Now())
	if err != nil {
		return fmt.Errorf("count attempt: %w", err)
	}
	if wait > 0 {
		return fault.New(fault.TooMany, "Too many attempts. Try again later.").Retry(wait)
	}
	res, err := s.Passwords.Verify(ctx, password.Attempt{Encoded: u.PasswordHash, Password: current, Known: true})
	if err != nil {
		// Nothing was checked, so it was no guess.
		return errors.Join(busy(err, "check password"), s.Store.Refund(context.WithoutCancel(ctx), nil, []string{rule.Key}))
	}
	if !res.OK {
		if err := s.Store.Audit(ctx, s.event(By{Actor: u.ID}, "user.refused", u.ID, "wrong current password")); err != nil {
			return fmt.Errorf("write audit: %w", err)
		}
		return fault.New(fault.Forbidden, "The current password is wrong.")
	}
	if err := s.Store.Refund(ctx, []string{rule.Key}, nil); err != nil {
		return fmt.Errorf("clear counter: %w", err)
	}
	return nil
}
