package manage

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/outbox"
)

// Messages is what other parties are still to be told.
type Messages interface {
	Messages(ctx context.Context, w outbox.Which) ([]outbox.Message, error)
}

// Message is something to be told to one receiver. One that was delivered is not
// there any more.
type Message struct {
	Number    int64      `json:"number"`
	ID        string     `json:"id"`
	Topic     string     `json:"topic"`         // logout or ssf
	To        string     `json:"to"`            // the client, or the stream
	Seq       int64      `json:"seq,omitempty"` // the entry of the revocation log
	State     string     `json:"state"`         // waiting or given up
	Attempts  int        `json:"attempts"`
	Problem   string     `json:"problem,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	DueAt     *time.Time `json:"due_at,omitempty"`
}

func messageShape(m outbox.Message) Message {
	out := Message{
		Number: m.Number, ID: m.ID, Topic: m.Topic, To: m.To, Seq: m.Seq, State: string(m.State), Attempts: m.Attempts, Problem: m.Problem,
		CreatedAt: second(m.CreatedAt),
	}
	if m.State == outbox.Waiting {
		out.DueAt = when(m.DueAt)
	}
	return out
}

func (s *Surface) listMessages(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r, "state", "to")
	if err != nil {
		return err
	}
	after, err := p.position()
	if err != nil {
		return err
	}
	state := outbox.State(p.query.Get("state"))
	if state != "" && state != outbox.Waiting && state != outbox.GivenUp {
		return fault.New(fault.Invalid, "state is waiting, given up, or left out.")
	}
	rows, err := s.Messages.Messages(r.Context(), outbox.Which{State: state, To: p.query.Get("to"), After: after, Limit: p.limit})
	if err != nil {
		return err
	}
	answer(w, p, rows, messageShape, func(m Message) string { return strconv.FormatInt(m.Number, 10) })
	return nil
}
