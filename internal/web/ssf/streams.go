package ssf

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// configuration is a stream as its receiver sees it (SSF 1.0 section 8.1.1). The
// authorization_header is not in it: it is never shown again.
type configuration struct {
	ID          string   `json:"stream_id"`
	Issuer      string   `json:"iss"`
	Audience    string   `json:"aud"`
	Supported   []string `json:"events_supported"`
	Requested   []string `json:"events_requested"`
	Delivered   []string `json:"events_delivered"`
	Delivery    delivery `json:"delivery"`
	Interval    int      `json:"min_verification_interval"`
	Description string   `json:"description,omitempty"`
}

type delivery struct {
	Method   string `json:"method"`
	Endpoint string `json:"endpoint_url"`
}

func (s *Surface) shape(one outbox.Stream) configuration {
	d := delivery{Method: pushURN, Endpoint: one.Endpoint}
	if one.Method == outbox.Poll {
		d = delivery{Method: pollURN, Endpoint: s.Issuer + pollPath + one.ID}
	}
	return configuration{
		ID: one.ID, Issuer: s.Issuer, Audience: one.Audience, Supported: ssf.Supported, Requested: append([]string{}, one.Requested...),
		Delivered: ssf.Delivered(one.Requested), Delivery: d, Interval: int(ssf.VerificationInterval.Seconds()), Description: one.Description,
	}
}

// suppliedByUs are the members that a receiver may send back, but only as they are.
var suppliedByUs = []string{"iss", "aud", "events_supported", "events_delivered", "min_verification_interval"}

// agrees refuses a body that says otherwise of what we supply.
func (s *Surface) agrees(o object, one outbox.Stream) error {
	text, err := json.Marshal(s.shape(one))
	if err != nil {
		return err
	}
	var present map[string]any
	if err := json.Unmarshal(text, &present); err != nil {
		return err
	}
	for _, name := range suppliedByUs {
		said, err := optional[any](o, name)
		if err != nil {
			return err
		}
		if said != nil && !reflect.DeepEqual(*said, present[name]) {
			return fault.New(fault.Invalid, "The member "+name+" is the transmitter's, and another.")
		}
	}
	return nil
}

// wanted reads what a receiver supplies.
func wanted(o object) (w ssf.Wanted, err error) {
	if w.Description, err = optional[string](o, "description"); err != nil {
		return w, err
	}
	if w.Requested, err = optional[[]string](o, "events_requested"); err != nil {
		return w, err
	}
	d, err := inner(o, "delivery")
	if err != nil || d == nil {
		return w, err
	}
	method, err := needed[string](d, "method")
	if err != nil {
		return w, err
	}
	to := ssf.Delivery{Method: map[string]outbox.Method{pushURN: outbox.Push, pollURN: outbox.Poll}[method]}
	if to.Method == outbox.Push {
		if to.Endpoint, err = needed[string](d, "endpoint_url"); err != nil {
			return w, err
		}
	}
	to.Authorization, err = optional[string](d, "authorization_header")
	w.Delivery = &to
	return w, err
}

func (s *Surface) create(w http.ResponseWriter, r *http.Request, clientID string) error {
	o, err := body(r)
	if err != nil {
		return err
	}
	in, err := wanted(o)
	if err != nil {
		return err
	}
	one, err := s.Streams.Add(r.Context(), clientID, in)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, s.shape(one))
	return nil
}

func (s *Surface) read(w http.ResponseWriter, r *http.Request, clientID string) error {
	id, given, err := streamParameter(r)
	if err != nil {
		return err
	}
	if given {
		one, err := s.Streams.Stream(r.Context(), clientID, id)
		if err != nil {
			return err
		}
		respond.JSON(w, http.StatusOK, s.shape(one))
		return nil
	}
	all, err := s.Streams.Streams(r.Context(), clientID)
	if err != nil {
		return err
	}
	out := make([]configuration, 0, len(all))
	for _, one := range all {
		out = append(out, s.shape(one))
	}
	respond.JSON(w, http.StatusOK, out)
	return nil
}

func (s *Surface) update(w http.ResponseWriter, r *http.Request, clientID string) error {
	return s.edit(w, r, clientID, func(*ssf.Wanted) {})
}

// replace takes what is missing as to be deleted.
func (s *Surface) replace(w http.ResponseWriter, r *http.Request, clientID string) error {
	return s.edit(w, r, clientID, func(in *ssf.Wanted) {
		if in.Description == nil {
			in.Description = new(string)
		}
		if in.Requested == nil {
			in.Requested = &[]string{}
		}
		if in.Delivery == nil {
			in.Delivery = &ssf.Delivery{Method: outbox.Poll}
		}
	})
}

func (s *Surface) edit(w http.ResponseWriter, r *http.Request, clientID string, complete func(*ssf.Wanted)) error {
	o, err := body(r)
	if err != nil {
		return err
	}
	id, err := needed[string](o, "stream_id")
	if err != nil {
		return err
	}
	old, err := s.Streams.Stream(r.Context(), clientID, id)
	if err != nil {
		return err
	}
	if err := s.agrees(o, old); err != nil {
		return err
	}
	in, err := wanted(o)
	if err != nil {
		return err
	}
	complete(&in)
	next, err := s.Streams.Edit(r.Context(), clientID, id, in)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, s.shape(next))
	return nil
}

func (s *Surface) remove(w http.ResponseWriter, r *http.Request, clientID string) error {
	id, given, err := streamParameter(r)
	if err != nil {
		return err
	}
	if !given {
		return fault.New(fault.Invalid, "The parameter stream_id is missing.")
	}
	if err := s.Streams.Remove(r.Context(), clientID, id); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}

// state is the status of a stream (section 8.1.2).
type state struct {
	ID     string `json:"stream_id"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

func (s *Surface) status(w http.ResponseWriter, r *http.Request, clientID string) error {
	id, given, err := streamParameter(r)
	if err != nil {
		return err
	}
	if !given {
		return fault.New(fault.Invalid, "The parameter stream_id is missing.")
	}
	one, err := s.Streams.Stream(r.Context(), clientID, id)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, state{one.ID, string(one.Status), one.Reason})
	return nil
}

func (s *Surface) setStatus(w http.ResponseWriter, r *http.Request, clientID string) error {
	o, err := body(r)
	if err != nil {
		return err
	}
	id, err := needed[string](o, "stream_id")
	if err != nil {
		return err
	}
	to, err := needed[string](o, "status")
	if err != nil {
		return err
	}
	reason, err := optional[string](o, "reason")
	if err != nil {
		return err
	}
	if reason == nil {
		reason = new(string)
	}
	one, err := s.Streams.SetStatus(r.Context(), clientID, id, outbox.Status(to), *reason)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, state{one.ID, string(one.Status), one.Reason})
	return nil
}
