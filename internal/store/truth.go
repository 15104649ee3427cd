package store

import (
	"context"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// Truth is a store that holds everything else when sessions live elsewhere.
type Truth interface {
	Store

	// Sessions is the truth's own table of sessions, as a home. Ending them is
	// part of every change that has effects, so its End finds little to do. A
	// record it gives has the position of the log it was read at; one that it
	// is given is added only if no entry above the record's RSN covers it, in
	// one transaction (fault.Conflict). Its Close does nothing.
	Sessions() session.Home
	// Standing returns the position of the log, and whether an entry above rsn
	// covers a session with these refs, both from one moment.
	Standing(ctx context.Context, rsn int64, refs []revoke.Ref) (head int64, covered bool, err error)
	// AddGrantApart is AddGrant for a grant whose session lives elsewhere: the
	// session's row is not looked for, all else is. Nothing is added when the log holds an
	// entry that also names; both guards bind.
	AddGrantApart(ctx context.Context, g grant.Grant, fx revoke.Effects, also revoke.Guard) (bool, error)
	// AddTokenApart is AddToken for a token whose session lives elsewhere.
	AddTokenApart(ctx context.Context, t grant.AccessToken, also revoke.Guard) (bool, error)
	// ChangeGrantApart is ChangeGrant for a grant whose session lives elsewhere:
	// decide sees it as the session of the state. Nothing is written when the
	// log holds an entry that also names (fault.Conflict).
	ChangeGrantApart(ctx context.Context, grantID string, s *session.Session, also revoke.Guard, decide func(grant.State) grant.Change) error
	// ForgetSessions removes the grants and opaque tokens that hang from
	// sessions which are no more, in small steps.
	ForgetSessions(ctx context.Context, ids []string) error
}
