package split

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

var errNotOpened = fault.New(fault.Unavailable, "Sessions cannot be reached at the moment.")

// absent is a home that could not be opened. Everything fails.
type absent struct{ cause error }

func (h absent) Add(context.Context, session.Record) error { return h.cause }

func (h absent) BySecret(context.Context, opaque.Digest) (session.Record, bool, error) {
	return session.Record{}, false, h.cause
}

func (h absent) ByID(context.Context, string) (session.Record, bool, error) {
	return session.Record{}, false, h.cause
}

func (h absent) Of(context.Context, revoke.Ref) ([]session.Record, error) { return nil, h.cause }

func (h absent) Renew(context.Context, opaque.Digest, session.Session) (bool, error) {
	return false, h.cause
}

func (h absent) Touch(context.Context, []session.Touch) (int, error) { return 0, h.cause }

func (h absent) End(context.Context, revoke.Ref, int64) ([]string, error) { return nil, h.cause }

func (h absent) Purge(context.Context, time.Time, int) ([]string, error) { return nil, h.cause }

func (h absent) Page(context.Context, string, int) ([]session.Record, string, error) {
	return nil, "", h.cause
}

func (h absent) Count(context.Context) (int64, error) { return 0, h.cause }

func (h absent) Leave(context.Context, string) (session.Record, bool, error) {
	return session.Record{}, false, h.cause
}

func (h absent) Risks(context.Context) ([]string, error) { return nil, h.cause }

func (h absent) Ping(context.Context) error { return h.cause }

func (h absent) Close() error { return nil }
