package redis

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
)

// A record is text:
//
//	W1, - or L (leaving), SeenAt, IdleUntil, ExpiresAt, RSN, CreatedAt, AuthTime: 20 digits each,
//	6 digits: how long the AMR is; the AMR: nothing for nil, else [ and its words,
//	then the words ID, UserID, ClientID, Address, Agent, Binding
//
// A word is its length, a colon and itself. What a script changes or compares has
// a fixed place; the rest is only carried around.
const (
	leavingAt = 2
	timesAt   = 3
	width     = 20
	amrAt     = timesAt + 6*width
	amrWidth  = 6
	head      = amrAt + amrWidth
)

var errRecord = errors.New("not a session record")

// digits are for a number such that texts compare as the numbers do.
func digits(v int64) string {
	return string(appendDigits(make([]byte, 0, width), v))
}

func appendDigits(b []byte, v int64) []byte {
	return fmt.Appendf(b, "%0*d", width, uint64(v)^(1<<63))
}

func readDigits(text string) (int64, error) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, errRecord
		}
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errRecord
	}
	return int64(v ^ (1 << 63)), nil
}

func micros(t time.Time) string { return digits(t.UnixMicro()) }

func appendWord(b []byte, text string) []byte {
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, ':')
	return append(b, text...)
}

// cutWord takes the first word off.
func cutWord(text string) (word, rest string, err error) {
	size, rest, found := strings.Cut(text, ":")
	if !found || len(size) == 0 || len(size) > 9 || size[0] == '0' && len(size) > 1 {
		return "", "", errRecord
	}
	n := 0
	for i := range len(size) {
		if size[i] < '0' || size[i] > '9' {
			return "", "", errRecord
		}
		n = 10*n + int(size[i]-'0')
	}
	if n > len(rest) {
		return "", "", errRecord
	}
	return rest[:n], rest[n:], nil
}

// appendAMR writes how long it is and the words. It fails when they are too long.
func appendAMR(b []byte, amr []string) ([]byte, error) {
	var words []byte
	if amr != nil {
		words = append(words, '[')
	}
	for _, word := range amr {
		words = appendWord(words, word)
	}
	if len(words) > 999_999 {
		return nil, errors.New("AMR is too long")
	}
	b = fmt.Appendf(b, "%0*d", amrWidth, len(words))
	return append(b, words...), nil
}

func readAMR(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '[' {
		return nil, errRecord
	}
	amr := []string{}
	for rest := text[1:]; rest != ""; {
		word, after, err := cutWord(rest)
		if err != nil {
			return nil, err
		}
		amr, rest = append(amr, word), after
	}
	return amr, nil
}

func encode(r session.Record) (string, error) {
	b := make([]byte, 0, 384)
	b = append(b, "W1-"...)
	if r.Leaving {
		b[leavingAt] = 'L'
	}
	for _, v := range []int64{
		r.SeenAt.UnixMicro(), r.IdleUntil.UnixMicro(), r.ExpiresAt.UnixMicro(), r.RSN, r.CreatedAt.UnixMicro(), r.AuthTime.UnixMicro(),
	} {
		b = appendDigits(b, v)
	}
	b, err := appendAMR(b, r.AMR)
	if err != nil {
		return "", err
	}
	for _, text := range []string{r.ID, r.UserID, r.ClientID, r.Address, r.Agent, r.Binding} {
		b = appendWord(b, text)
	}
	return string(b), nil
}

// decode reads exactly what encode writes: anything else is errRecord. The
// secret is not in the text.
func decode(text string, secret opaque.Digest) (session.Record, error) {
	var none session.Record
	if len(text) < head || text[:leavingAt] != "W1" || text[leavingAt] != '-' && text[leavingAt] != 'L' {
		return none, errRecord
	}
	var v [6]int64
	for i := range v {
		n, err := readDigits(text[timesAt+i*width : timesAt+(i+1)*width])
		if err != nil {
			return none, err
		}
		v[i] = n
	}
	// Atoi takes a sign, which is not ours.
	size, err := strconv.Atoi(text[amrAt:head])
	if err != nil || text[amrAt] < '0' || size > len(text)-head {
		return none, errRecord
	}
	amr, err := readAMR(text[head : head+size])
	if err != nil {
		return none, err
	}
	rest := text[head+size:]
	var words [6]string
	for i := range words {
		if words[i], rest, err = cutWord(rest); err != nil {
			return none, err
		}
	}
	if rest != "" {
		return none, errRecord
	}
	moment := func(i int) time.Time { return time.UnixMicro(v[i]).UTC() }
	return session.Record{
		Session: session.Session{
			ID: words[0], Secret: secret, UserID: words[1], ClientID: words[2], CreatedAt: moment(4), AuthTime: moment(5), AMR: amr,
			SeenAt: moment(0), IdleUntil: moment(1), ExpiresAt: moment(2), Address: words[3], Agent: words[4], Binding: words[5],
		},
		RSN: v[3], Leaving: text[leavingAt] == 'L',
	}, nil
}

// card is what stands under the sid.
func card(s session.Session) string {
	b := []byte(secretText(s.Secret))
	b = appendWord(b, s.UserID)
	return string(appendWord(b, s.ClientID))
}

func secretText(d opaque.Digest) string { return base64.RawURLEncoding.EncodeToString(d[:]) }

func readSecret(text string) (d opaque.Digest, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(d) {
		return d, errRecord
	}
	return opaque.Digest(raw), nil
}
