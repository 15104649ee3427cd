package revocation

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wafer-auth/wafer/verify/jose"
)

// headMost bounds the signed first line of a snapshot.
const headMost = 4 << 10

type snapshotHead struct {
	Issuer string `json:"iss"`
	Epoch  int64  `json:"ep"`
	Seq    int64  `json:"seq"`
	Count  int64  `json:"count"`
	SHA256 string `json:"sha256"`
}

// EncodeSnapshot gives everything that is kept at a position: a signed line that
// names the position and the hash of the rest, and the entries, sorted by key.
func EncodeSnapshot(issuer string, at Position, entries []Entry, key *jose.Key) ([]byte, error) {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
	body := make([]byte, 0, len(sorted)*17)
	count, last := int64(0), uint64(0)
	for i, e := range sorted {
		if e.Kind == None || e.Kind >= kinds || e.Key == 0 || e.Seq < 1 || e.Seq > at.Seq || e.KeepUntil < 0 || i > 0 && e.Key == last {
			return nil, fmt.Errorf("%w: entry %d of a snapshot", ErrWire, i)
		}
		body = append(body, byte(e.Kind))
		body = binary.BigEndian.AppendUint64(body, e.Key)
		body = binary.AppendUvarint(body, uint64(e.Seq))
		body = binary.AppendUvarint(body, uint64(e.KeepUntil))
		count, last = count+1, e.Key
	}
	sum := sha256.Sum256(body)
	payload, err := json.Marshal(snapshotHead{
		Issuer: issuer, Epoch: at.Epoch, Seq: at.Seq, Count: count, SHA256: jose.EncodeSegment(sum[:]),
	})
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	head, err := jose.Sign(key, jose.Header{Type: SnapshotType}, payload)
	if err != nil {
		return nil, fmt.Errorf("sign snapshot: %w", err)
	}
	return slices.Concat([]byte(head), []byte{'\n'}, body), nil
}

// DecodeSnapshot reads what EncodeSnapshot wrote, signed by one of the issuer's
// feed keys. An error matches ErrWire, unless it is one of find.
func DecodeSnapshot(b []byte, issuer string, find KeyFinder) (Position, []Entry, error) {
	none := func(err error) (Position, []Entry, error) { return Position{}, nil, err }
	line, body, ok := bytes.Cut(b[:], []byte{'\n'})
	if !ok || len(line) > headMost {
		return none(fmt.Errorf("%w: snapshot without a head", ErrWire))
	}
	payload, err := openSigned(string(line), SnapshotType, headMost, find)
	if err != nil {
		return none(err)
	}
	head, err := readHead(payload)
	if err != nil {
		return none(err)
	}
	sum := sha256.Sum256(body)
	if head.Issuer != issuer || head.SHA256 != jose.EncodeSegment(sum[:]) {
		return none(fmt.Errorf("%w: snapshot of another issuer, or changed on its way", ErrWire))
	}
	at := Position{Epoch: head.Epoch, Seq: head.Seq}
	entries, err := parseEntries(body, at.Seq)
	if err != nil {
		return none(err)
	}
	if int64(len(entries)) != head.Count {
		return none(fmt.Errorf("%w: snapshot of %d entries, not %d", ErrWire, len(entries), head.Count))
	}
	return at, entries, nil
}

func readHead(payload []byte) (snapshotHead, error) {
	if _, err := fields(payload, "iss", "ep", "seq", "count", "sha256"); err != nil {
		return snapshotHead{}, err
	}
	var head snapshotHead
	if err := json.Unmarshal(payload, &head); err != nil {
		return snapshotHead{}, fmt.Errorf("%w: snapshot: %w", ErrWire, err)
	}
	if head.Epoch < 1 || head.Seq < 0 || head.Count < 0 {
		return snapshotHead{}, fmt.Errorf("%w: snapshot with a number out of range", ErrWire)
	}
	return head, nil
}

func parseEntries(b []byte, most int64) ([]Entry, error) {
	bad := fmt.Errorf("%w: snapshot entry out of form", ErrWire)
	entries := make([]Entry, 0, len(b)/17)
	last := uint64(0)
	for len(b) > 0 {
		if len(b) < 9 {
			return nil, bad
		}
		e := Entry{Kind: Kind(b[0]), Key: binary.BigEndian.Uint64(b[1:])}
		seq, n := binary.Uvarint(b[9:])
		if n <= 0 {
			return nil, bad
		}
		until, m := binary.Uvarint(b[9+n:])
		if m <= 0 {
			return nil, bad
		}
		e.Seq, e.KeepUntil, b = int64(seq), int64(until), b[9+n+m:]
		if e.Kind == None || e.Kind >= kinds || e.Key <= last || e.Seq < 1 || e.Seq > most || e.KeepUntil < 0 {
			return nil, bad
		}
		entries, last = append(entries, e), e.Key
	}
	return entries, nil
}
