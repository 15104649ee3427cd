package ssf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/outbox"
)

// streamID is the prefix of the ids of streams.
const streamID = "str"

// What a receiver may write at most, in bytes.
const (
	mostText          = 500
	mostState         = 1000
	mostAuthorization = 4000
	mostRequested     = 100
)

// Wanted is what a receiver says of its stream. nil leaves it as it is.
type Wanted struct {
	Description *string
	Requested   *[]string
	Delivery    *Delivery
}

// Delivery is how a receiver wants its events. Authorization nil, for the same
// endpoint as before, keeps what was given before: it is never shown again.
type Delivery struct {
	Method        outbox.Method
	Endpoint      string
	Authorization *string
}

// apply returns a stream as its receiver wants it.
func (s *Service) apply(old outbox.Stream, w Wanted) (outbox.Stream, error) {
	next := old
	if w.Description != nil {
		if len(*w.Description) > mostText || !printable(*w.Description) {
			return next, fault.New(fault.Invalid, "description is longer than 500 bytes, or holds control characters.")
		}
		next.Description = *w.Description
	}
	if w.Requested != nil {
		if len(*w.Requested) > mostRequested {
			return next, fault.New(fault.Invalid, "events_requested has more than 100 members.")
		}
		for _, t := range *w.Requested {
			if t == "" || len(t) > mostText || !printable(t) {
				return next, fault.New(fault.Invalid, "events_requested holds something that is no event type.")
			}
		}
		next.Requested = slices.Clone(*w.Requested)
	}
	if w.Delivery != nil {
		return s.applyDelivery(next, *w.Delivery)
	}
	return next, nil
}

func (s *Service) applyDelivery(next outbox.Stream, d Delivery) (outbox.Stream, error) {
	kept := next.Authorization
	if next.Method != d.Method || next.Endpoint != d.Endpoint {
		kept = nil // what was meant for one place is not shown to another
	}
	next.Method, next.Endpoint, next.Authorization = d.Method, "", nil
	switch d.Method {
	case outbox.Poll:
		return next, nil // the address is ours
	case outbox.Push:
	default:
		return next, fault.New(fault.Invalid, "delivery.method must be urn:ietf:rfc:8935 or urn:ietf:rfc:8936.")
	}
	if err := client.CheckEndpoint(d.Endpoint); err != nil {
		return next, fmt.Errorf("delivery.endpoint_url: %w", err)
	}
	next.Endpoint = d.Endpoint
	switch {
	case d.Authorization == nil:
		next.Authorization = kept
	case *d.Authorization != "":
		if len(*d.Authorization) > mostAuthorization || strings.ContainsFunc(*d.Authorization, func(r rune) bool { return r < ' ' || r > '~' }) {
			return next, fault.New(fault.Invalid, "delivery.authorization_header is longer than 4000 bytes, or not printable ASCII.")
		}
		next.Authorization = s.c.Seal.Seal([]byte(*d.Authorization), sealedAs(next.ID))
	}
	return next, nil
}

func sealedAs(id string) string { return "stream/" + id }

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

// message is an event on its way into a stream.
func message(to outbox.Stream, e event, now time.Time) (outbox.Message, error) {
	m := outbox.NewMessage(Topic, to.ID, nil, now)
	if e.Transaction == "" {
		e.Transaction = m.ID
	}
	body, err := json.Marshal(e)
	if err != nil {
		return outbox.Message{}, fmt.Errorf("encode event: %w", err)
	}
	m.Body = body
	return m, nil
}
