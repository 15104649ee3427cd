package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
)

// version is what this release writes. It reads no other.
const version = 1

// maxFile is how long a file may be, in bytes.
const maxFile = 1 << 20

// A file is two lines of uses and one line of JSON:
//
//	use 4122187200123456 4122190800123456 0c5f9a3e      or spaces
//	use ...
//	{"version":1,"sum":"...","record":{...}}
//
// sum is the SHA-256 of the record as it stands there. A use is SeenAt, IdleUntil
// and a checksum over them and sum. Both limits are the latest of the three.
type whole struct {
	Version int             `json:"version"`
	Sum     string          `json:"sum"`
	Record  json.RawMessage `json:"record"`
}

type stored struct {
	ID           text   `json:"id"`
	SecretSHA256 string `json:"secret_sha256"`
	User         text   `json:"user"`
	Client       text   `json:"client"`
	CreatedAt    moment `json:"created_at"`
	AuthTime     moment `json:"auth_time"`
	AMR          []text `json:"amr"`
	SeenAt       moment `json:"seen_at"`
	IdleUntil    moment `json:"idle_until"`
	ExpiresAt    moment `json:"expires_at"`
	Address      text   `json:"address"`
	Agent        text   `json:"agent"`
	Binding      text   `json:"binding"`
	RSN          int64  `json:"rsn"`
	Leaving      bool   `json:"leaving"`
}

// encode writes a record. It fails for one that decode would refuse.
func encode(r session.Record) ([]byte, error) {
	s := stored{
		ID: text(r.ID), SecretSHA256: hex.EncodeToString(r.Secret[:]), User: text(r.UserID), Client: text(r.ClientID),
		CreatedAt: moment(r.CreatedAt), AuthTime: moment(r.AuthTime), SeenAt: moment(r.SeenAt), IdleUntil: moment(r.IdleUntil),
		ExpiresAt: moment(r.ExpiresAt), Address: text(r.Address), Agent: text(r.Agent), Binding: text(r.Binding), RSN: r.RSN, Leaving: r.Leaving,
	}
	if r.AMR != nil {
		s.AMR = make([]text, 0, len(r.AMR))
	}
	for _, m := range r.AMR {
		s.AMR = append(s.AMR, text(m))
	}
	record, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(whole{version, sumOf(record), record})
	if err != nil {
		return nil, err
	}
	out := append(blankUses(), line...)
	if len(out) >= maxFile {
		return nil, errors.New("record is too long")
	}
	return append(out, '\n'), nil
}

func sumOf(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// decode reads what encode wrote and uses were written into. A use that is
// damaged is none; anything else that is damaged is an error.
func decode(data []byte) (session.Record, error) {
	if len(data) < uses*useSize || len(data) > maxFile {
		return session.Record{}, fmt.Errorf("%d bytes long", len(data))
	}
	var w whole
	if err := strictly(data[uses*useSize:], &w); err != nil {
		return session.Record{}, err
	}
	if w.Version != version {
		return session.Record{}, fmt.Errorf("version %d is not known", w.Version)
	}
	if sumOf(w.Record) != w.Sum {
		return session.Record{}, errors.New("checksum does not match")
	}
	var s stored
	if err := strictly(w.Record, &s); err != nil {
		return session.Record{}, err
	}
	r, err := s.record()
	if err != nil {
		return session.Record{}, err
	}
	for i := range uses {
		if seen, idleUntil, ok := parseUse(data[i*useSize:(i+1)*useSize], w.Sum); ok {
			r.SeenAt, r.IdleUntil = latest(r.SeenAt, seen), latest(r.IdleUntil, idleUntil)
		}
	}
	return r, nil
}

func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if len(bytes.TrimSpace(data[d.InputOffset():])) > 0 {
		return errors.New("more than one value")
	}
	return nil
}

func (s stored) record() (session.Record, error) {
	secret, err := hex.DecodeString(s.SecretSHA256)
	if err != nil || len(secret) != len(opaque.Digest{}) {
		return session.Record{}, errors.New("secret_sha256 is not a SHA-256")
	}
	r := session.Record{RSN: s.RSN, Leaving: s.Leaving, Session: session.Session{
		ID: string(s.ID), Secret: opaque.Digest(secret), UserID: string(s.User), ClientID: string(s.Client),
		CreatedAt: time.Time(s.CreatedAt), AuthTime: time.Time(s.AuthTime), SeenAt: time.Time(s.SeenAt), IdleUntil: time.Time(s.IdleUntil),
		ExpiresAt: time.Time(s.ExpiresAt), Address: string(s.Address), Agent: string(s.Agent), Binding: string(s.Binding),
	}}
	if s.AMR != nil {
		r.AMR = make([]string, 0, len(s.AMR))
	}
	for _, m := range s.AMR {
		r.AMR = append(r.AMR, string(m))
	}
	return r, nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// text is any text. JSON has room for UTF-8 only.
type text string

type notUTF8 struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(notUTF8{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return json.Unmarshal(data, (*string)(t))
	}
	var n notUTF8
	err := strictly(data, &n)
	*t = text(n.Base64)
	return err
}

// moment is a time in microseconds since 1970.
type moment time.Time

// The first and the last microsecond of the years 0 to 9999.
const (
	firstMoment = -62_167_219_200_000_000
	lastMoment  = 253_402_300_799_999_999
)

// MarshalJSON implements json.Marshaler.
func (m moment) MarshalJSON() ([]byte, error) {
	at := time.Time(m).UnixMicro()
	if at < firstMoment || at > lastMoment {
		return nil, errors.New("time is outside the years 0 to 9999")
	}
	return strconv.AppendInt(nil, at, 10), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(data []byte) error {
	at, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil || at < firstMoment || at > lastMoment {
		return fmt.Errorf("%.30s is not a time", data)
	}
	*m = moment(time.UnixMicro(at).UTC())
	return nil
}

// The lines of uses: how many there are, and how long each is.
const (
	uses    = 2
	useSize = 51
	useForm = "use %018d %018d "
)

func blankUses() []byte {
	line := append(bytes.Repeat([]byte{' '}, useSize-1), '\n')
	return bytes.Repeat(line, uses)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// formatUse writes a line. It is empty for a time that a file does not hold.
func formatUse(seen, idleUntil time.Time, sum string) []byte {
	line := fmt.Appendf(nil, useForm, seen.UnixMicro(), idleUntil.UnixMicro())
	line = fmt.Appendf(line, "%08x\n", checkUse(line, sum))
	if len(line) != useSize {
		return nil
	}
	return line
}

func checkUse(line []byte, sum string) uint32 {
	return crc32.Update(crc32.Checksum(line, castagnoli), castagnoli, []byte(sum))
}

// parseUse reports false for a line that is blank, damaged, or of another record.
func parseUse(line []byte, sum string) (seen, idleUntil time.Time, ok bool) {
	a, errA := strconv.ParseInt(string(line[4:22]), 10, 64)
	b, errB := strconv.ParseInt(string(line[23:41]), 10, 64)
	if errA != nil || errB != nil {
		return seen, idleUntil, false
	}
	seen, idleUntil = time.UnixMicro(a).UTC(), time.UnixMicro(b).UTC()
	return seen, idleUntil, bytes.Equal(line, formatUse(seen, idleUntil, sum))
}

// sumAt is what stands before the checksum of a record.
var sumAt = fmt.Sprintf(`{"version":%d,"sum":"`, version)

// headSize is how much of a file nextUse wants to see.
var headSize = uses*useSize + len(sumAt) + 2*sha256.Size

// errNoPlace means that a file is not one that this release wrote.
var errNoPlace = errors.New("no place for a use")

// nextUse returns the line that notes the use of a record, and where in its file
// it goes: over the older of the two, so that one is whole at any time.
func nextUse(head []byte, r session.Record) (line []byte, at int64, err error) {
	sum, ours := bytes.CutPrefix(head[uses*useSize:], []byte(sumAt))
	line = formatUse(r.SeenAt, r.IdleUntil, string(sum))
	if !ours || line == nil {
		return nil, 0, errNoPlace
	}
	first, _, ok := parseUse(head[:useSize], string(sum))
	second, _, okToo := parseUse(head[useSize:uses*useSize], string(sum))
	if ok && (!okToo || second.Before(first)) {
		at = int64(useSize)
	}
	return line, at, nil
}
