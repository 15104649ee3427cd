package manage

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func (s *Surface) revoke(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewRevocation
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	if err := in.check(c); err != nil {
		return err
	}
	out, err := s.Setup.RevokeAs(r.Context(), c.by(), admin.Revocation{
		User: in.User, Session: in.Session, Client: in.Client, API: in.API, Token: in.Token, Key: in.Key, Reason: in.Reason,
	}, feed.Ack(cmp.Or(in.Ack, string(feed.Durable))))
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, Revoked{Seq: out.Seq, Ack: string(out.Ack), TookMS: milliseconds(out.Took)})
	return nil
}

// check asks for the scope of the register where a revocation reaches beyond
// sessions.
func (in NewRevocation) check(c caller) error {
	for _, more := range []struct{ value, scope string }{
		{in.Client, "clients:write"}, {in.Key, "keys:write"}, {in.API, "apis:write"},
	} {
		if more.value != "" && !c.has(more.scope) {
			return fault.New(fault.Forbidden, "This needs the scope "+more.scope+" too.")
		}
	}
	return nil
}

func revocationShape(e revoke.Recorded) Revocation {
	return Revocation{Seq: e.Seq, Kind: string(e.Kind), Key: e.Key, At: e.At.UTC(), KeepUntil: e.KeepUntil.UTC(), Reason: e.Reason}
}

func (s *Surface) listRevocations(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	after, err := p.position()
	if err != nil {
		return err
	}
	rows, err := s.Logs.Revocations(r.Context(), after, p.limit)
	if err != nil {
		return err
	}
	answer(w, p, rows, revocationShape, func(e Revocation) string { return strconv.FormatInt(e.Seq, 10) })
	return nil
}

func eventShape(e audit.Event) Event {
	return Event{
		Seq: e.Seq, At: e.At.UTC(), Action: e.Action, Actor: e.Actor, Target: e.Target, Client: e.Client,
		Session: e.Session, Address: e.Address, Detail: e.Detail,
	}
}

func (s *Surface) listEvents(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	after, err := p.position()
	if err != nil {
		return err
	}
	rows, err := s.Logs.Events(r.Context(), after, p.limit)
	if err != nil {
		return err
	}
	answer(w, p, rows, eventShape, func(e Event) string { return strconv.FormatInt(e.Seq, 10) })
	return nil
}
