package revocation

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/wafer-auth/wafer/verify/jose"
)

// EventsMost is how many entries one frame may hold.
const EventsMost = 4096

// frameMost bounds a frame as it is sent: EventsMost entries, twice encoded.
const frameMost = 160 << 10

// eventMost is the size of one entry: kind, key and a time of at most ten bytes.
const eventMost = 1 + 8 + binary.MaxVarintLen64

type frameClaims struct {
	Issuer   string                `json:"iss"`
	IssuedAt int64                 `json:"iat"`
	ID       string                `json:"jti"`
	Events   map[string]frameEvent `json:"events"`
}

type frameEvent struct {
	Epoch int64  `json:"ep"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Body  string `json:"ev"`
}

// Sign gives the frame as a Security Event Token (RFC 8417) with one event.
func (f Frame) Sign(key *jose.Key) (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	body := make([]byte, 0, len(f.Events)*14)
	for _, e := range f.Events {
		body = e.append(body)
	}
	payload, err := json.Marshal(frameClaims{
		Issuer: f.Issuer, IssuedAt: f.IssuedAt, ID: fmt.Sprintf("%d.%d.%d", f.Epoch, f.From, f.To),
		Events: map[string]frameEvent{EventType: {Epoch: f.Epoch, From: f.From, To: f.To, Body: jose.EncodeSegment(body)}},
	})
	if err != nil {
		return "", fmt.Errorf("encode frame: %w", err)
	}
	signed, err := jose.Sign(key, jose.Header{Type: FrameType}, payload)
	if err != nil {
		return "", fmt.Errorf("sign frame: %w", err)
	}
	return signed, nil
}

func (f Frame) check() error {
	n := int64(len(f.Events))
	if n == 0 || n > EventsMost || f.Epoch < 1 || f.From < 1 || f.To-f.From+1 != n {
		return fmt.Errorf("%w: frame of %d entries from %d to %d in epoch %d", ErrWire, n, f.From, f.To, f.Epoch)
	}
	return nil
}

func (e Event) append(b []byte) []byte {
	b = append(b, byte(e.Kind))
	if e.Kind == None {
		return b
	}
	b = binary.BigEndian.AppendUint64(b, e.Key)
	return binary.AppendUvarint(b, uint64(max(e.KeepUntil, 0)))
}

// ParseFrame reads a frame that one of the issuer's feed keys has signed. An error
// matches ErrWire, unless it is one of find.
func ParseFrame(signed, issuer string, find KeyFinder) (Frame, error) {
	payload, err := openSigned(signed, FrameType, frameMost, find)
	if err != nil {
		return Frame{}, err
	}
	outer, err := fields(payload, "iss", "iat", "jti", "events")
	if err != nil {
		return Frame{}, err
	}
	var f Frame
	if f.Issuer, err = text(outer, "iss"); err != nil {
		return Frame{}, err
	}
	if f.Issuer != issuer {
		return Frame{}, fmt.Errorf("%w: frame of another issuer", ErrWire)
	}
	if f.IssuedAt, err = number(outer, "iat"); err != nil {
		return Frame{}, err
	}
	events, err := fields(outer["events"], EventType)
	if err != nil {
		return Frame{}, err
	}
	if len(events) != 1 {
		return Frame{}, fmt.Errorf("%w: %d kinds of events in a frame", ErrWire, len(events))
	}
	if err := f.readEvent(events[EventType]); err != nil {
		return Frame{}, err
	}
	return f, f.check()
}

func (f *Frame) readEvent(object []byte) error {
	event, err := fields(object, "ep", "from", "to", "ev")
	if err != nil {
		return err
	}
	for name, into := range map[string]*int64{"ep": &f.Epoch, "from": &f.From, "to": &f.To} {
		if *into, err = number(event, name); err != nil {
			return err
		}
	}
	encoded, err := text(event, "ev")
	if err != nil {
		return err
	}
	body, err := jose.DecodeSegment(encoded)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWire, err)
	}
	f.Events, err = parseEvents(body)
	return err
}

func parseEvents(b []byte) ([]Event, error) {
	if len(b) > EventsMost*eventMost {
		return nil, fmt.Errorf("%w: frame of %d bytes", ErrWire, len(b))
	}
	events := make([]Event, 0, len(b)/13+1)
	for len(b) > 0 {
		e := Event{Kind: Kind(b[0])}
		b = b[1:]
		if e.Kind >= kinds {
			// A kind of a later release covers nothing that this one knows of, but its
			// length is unknown: the frame cannot be read.
			return nil, fmt.Errorf("%w: entry of kind %d", ErrWire, e.Kind)
		}
		if e.Kind != None {
			if len(b) < 8 {
				return nil, fmt.Errorf("%w: entry cut short", ErrWire)
			}
			e.Key = binary.BigEndian.Uint64(b)
			until, n := binary.Uvarint(b[8:])
			if e.Key == 0 || n <= 0 || int64(until) < 0 || n != len(binary.AppendUvarint(nil, until)) {
				return nil, fmt.Errorf("%w: entry out of form", ErrWire)
			}
			e.KeepUntil, b = int64(until), b[8+n:]
		}
		events = append(events, e)
	}
	return events, nil
}
