package ssf

import (
	"context"
	"net/http"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func (s *Surface) verify(w http.ResponseWriter, r *http.Request, clientID string) error {
	o, err := body(r)
	if err != nil {
		return err
	}
	id, err := needed[string](o, "stream_id")
	if err != nil {
		return err
	}
	known, err := optional[string](o, "state")
	if err != nil {
		return err
	}
	if known == nil {
		known = new(string)
	}
	if err := s.Streams.Verify(r.Context(), clientID, id, *known); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}

func (s *Surface) addSubject(w http.ResponseWriter, r *http.Request, clientID string) error {
	if err := subject(r, clientID, s.Events.AddSubject); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK) // with an empty body
	return nil
}

func (s *Surface) removeSubject(w http.ResponseWriter, r *http.Request, clientID string) error {
	if err := subject(r, clientID, s.Events.RemoveSubject); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}

func subject(r *http.Request, clientID string, do func(context.Context, string, string, ssf.Identifier) error) error {
	o, err := body(r)
	if err != nil {
		return err
	}
	id, err := needed[string](o, "stream_id")
	if err != nil {
		return err
	}
	who, err := inner(o, "subject")
	if err != nil {
		return err
	}
	if who == nil {
		return fault.New(fault.Invalid, "The member subject is missing.")
	}
	var named ssf.Identifier
	if named.Format, err = needed[string](who, "format"); err != nil {
		return err
	}
	if named.Format == "iss_sub" {
		if named.Issuer, err = needed[string](who, "iss"); err != nil {
			return err
		}
		if named.Subject, err = needed[string](who, "sub"); err != nil {
			return err
		}
	}
	return do(r.Context(), clientID, id, named)
}

// polled answers a poll (RFC 8936 section 2.3).
type polled struct {
	Sets map[string]string `json:"sets"`
	More bool              `json:"moreAvailable,omitempty"`
}

func (s *Surface) poll(w http.ResponseWriter, r *http.Request, clientID string) error {
	o, err := body(r)
	if err != nil {
		return err
	}
	ask, err := s.pollAsk(o)
	if err != nil {
		return err
	}
	got, err := s.Events.Poll(r.Context(), clientID, r.PathValue("id"), ask)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, polled(got))
	return nil
}

func (s *Surface) pollAsk(o object) (ssf.PollAsk, error) {
	ask := ssf.PollAsk{Max: ssf.MostEvents, Wait: s.Wait}
	most, err := optional[int](o, "maxEvents")
	if err != nil {
		return ask, err
	}
	if most != nil {
		ask.Max = *most
	}
	atOnce, err := optional[bool](o, "returnImmediately")
	if err != nil {
		return ask, err
	}
	if atOnce != nil && *atOnce {
		ask.Wait = 0
	}
	acks, err := optional[[]string](o, "ack")
	if err != nil {
		return ask, err
	}
	if acks != nil {
		ask.Ack = *acks
	}
	refused, err := inner(o, "setErrs")
	if err != nil {
		return ask, err
	}
	for id := range refused {
		why, err := inner(refused, id)
		if err != nil {
			return ask, err
		}
		one := ssf.PollError{ID: id}
		if one.Code, err = needed[string](why, "err"); err != nil {
			return ask, err
		}
		description, err := optional[string](why, "description")
		if err != nil {
			return ask, err
		}
		if description != nil {
			one.Description = *description
		}
		ask.Errs = append(ask.Errs, one)
	}
	return ask, nil
}
