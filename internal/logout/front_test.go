package logout_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/logout"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// ended is a session that ended at position 7.
type ended struct {
	found bool
	err   error
}

func (e ended) EndAt(context.Context, session.EndOne) (int64, bool, error) { return 7, e.found, e.err }

type log struct{ entry revoke.Recorded }

func (l log) Revocations(_ context.Context, after int64, limit int) ([]revoke.Recorded, error) {
	if after != l.entry.Seq-1 || limit != 1 {
		return nil, nil
	}
	return []revoke.Recorded{l.entry}, nil
}

type clients map[string]client.OAuth

func (c clients) ClientByID(_ context.Context, id string) (client.Client, bool, error) {
	o, found := c[id]
	return client.Client{ID: id, OAuth: o, Disabled: id == "off"}, found, nil
}

func TestFrontNamesThePagesOfWhoTookPart(t *testing.T) {
	t.Parallel()
	entry := revoke.Recorded{Seq: 7, Entry: revoke.Entry{Kind: revoke.Session, Key: "ses_1", Clients: []string{"gone", "none", "off", "plain", "queried", "same"}}}
	front := logout.Front{Issuer: "https://id.example", Sessions: ended{found: true}, Log: log{entry}, Clients: clients{
		"none": {}, "off": {FrontchannelLogoutURI: "https://off.example/out"}, "plain": {FrontchannelLogoutURI: "https://plain.example/out"},
		"queried":  {FrontchannelLogoutURI: "https://queried.example/out?a=b", FrontchannelLogoutSession: true},
		"same":     {FrontchannelLogoutURI: "https://plain.example/out"},
		"stranger": {FrontchannelLogoutURI: "https://stranger.example/out"},
	}}
	want := []string{"https://plain.example/out", "https://queried.example/out?a=b&iss=https%3A%2F%2Fid.example&sid=ses_1"}
	if got, err := front.End(t.Context(), session.EndOne{ID: "ses_1"}); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for name, f := range map[string]logout.Front{
		"no such session":         {Sessions: ended{}, Log: log{entry}, Clients: front.Clients},
		"another session's entry": {Sessions: ended{found: true}, Log: log{revoke.Recorded{Seq: 7, Entry: revoke.Entry{Kind: revoke.Session, Key: "ses_2", Clients: []string{"plain"}}}}, Clients: front.Clients},
		"an entry that is purged": {Sessions: ended{found: true}, Log: log{revoke.Recorded{Seq: 9, Entry: entry.Entry}}, Clients: front.Clients},
	} {
		if got, err := f.End(t.Context(), session.EndOne{ID: "ses_1"}); err != nil || got != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	broken := errors.New("broken")
	front.Sessions = ended{err: broken}
	if _, err := front.End(t.Context(), session.EndOne{ID: "ses_1"}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
