package grant

import (
	"context"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/token"
)

// Revoke takes back a token at the wish of the client it was given to (RFC
// 7009). A refresh token takes its whole grant along, access tokens included. A
// token that is unknown, or another client's, is left alone, and the caller
// cannot tell which it was.
func (s *Service) Revoke(ctx context.Context, caller client.Client, text, _ string) error {
	entry, note, ok, err := s.takeBack(ctx, caller, text)
	if err != nil || !ok {
		return err
	}
	note.At, note.Action, note.Actor, note.Client = entry.At, "token.revoke", caller.ID, caller.ID
	_, err = s.Log.Record(ctx, revoke.Effects{Revoke: []revoke.Entry{entry}, Audit: []audit.Event{note}})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

func (s *Service) takeBack(ctx context.Context, caller client.Client, text string) (e revoke.Entry, note audit.Event, ok bool, err error) {
	now := s.Now()
	if token.IsRefresh(text) {
		return s.takeBackRefresh(ctx, caller, text, now)
	}
	h, ok, err := s.read(ctx, text)
	if err != nil || !ok || h.ClientID != caller.ID {
		return revoke.Entry{}, audit.Event{}, false, err
	}
	if err := s.endStatus(ctx, h.Access); err != nil {
		return revoke.Entry{}, audit.Event{}, false, err
	}
	note = audit.Event{Target: h.ID, Session: h.SessionID, Detail: "access token"}
	return revoke.NewToken(h.ID, "client", now, h.ExpiresAt), note, true, nil
}

func (s *Service) takeBackRefresh(ctx context.Context, caller client.Client, text string, now time.Time) (e revoke.Entry, note audit.Event, ok bool, err error) {
	id, _, valid := s.Config.Refresh.Decode(text)
	if !valid {
		return revoke.Entry{}, audit.Event{}, false, nil
	}
	st, err := s.Store.Snapshot(ctx, Query{GrantID: id})
	if err != nil {
		return revoke.Entry{}, audit.Event{}, false, fmt.Errorf("read grant: %w", err)
	}
	if st.Grant == nil || st.Grant.ClientID != caller.ID {
		return revoke.Entry{}, audit.Event{}, false, nil
	}
	note = audit.Event{Target: id, Session: st.Grant.SessionID, Detail: "refresh token"}
	return revoke.New(revoke.Grant, id, "client", now), note, true, nil
}
