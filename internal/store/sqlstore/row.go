package sqlstore

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// row is read column by column, from the left. NULL is the zero value. The first
// column that is not what it should be sets err.
type row struct {
	vals []driver.Value
	at   int
	far  bool // text is escaped
	err  error
}

func (r *row) next() any {
	v := r.vals[r.at]
	r.at++
	return v
}

func (r *row) skip(columns int) { r.at += columns }

// missing reports whether the next column is NULL: an outer join found nothing.
func (r *row) missing() bool { return r.vals[r.at] == nil }

func (r *row) text() string {
	switch v := r.next().(type) {
	case nil:
		return ""
	case string:
		if r.far {
			return unescaped(v)
		}
		return v
	default:
		r.fail("text", v)
		return ""
	}
}

func (r *row) int() int64 {
	switch v := r.next().(type) {
	case nil:
		return 0
	case int64:
		return v
	default:
		r.fail("an integer", v)
		return 0
	}
}

func (r *row) bytes() []byte {
	switch v := r.next().(type) {
	case nil:
		return nil
	case []byte:
		return v
	default:
		r.fail("bytes", v)
		return nil
	}
}

func (r *row) digest() (d opaque.Digest) {
	b := r.bytes()
	if b != nil && copy(d[:], b) != len(d) {
		r.fail("a digest", b)
	}
	return d
}

func (r *row) time() time.Time { return time.UnixMicro(r.int()).UTC() }

func (r *row) list() (l []string) {
	text := r.text()
	if l, ok := plainList(text); ok {
		return l
	}
	r.decode(text, &l)
	return l
}

// plainList reads a list of texts in which nothing is escaped, as almost all are.
func plainList(text string) (l []string, ok bool) {
	inner, opened := strings.CutPrefix(text, `["`)
	inner, closed := strings.CutSuffix(inner, `"]`)
	if !opened || !closed || strings.IndexByte(inner, '\\') >= 0 {
		return nil, false
	}
	l = strings.Split(inner, `","`)
	for _, s := range l {
		if strings.IndexByte(s, '"') >= 0 {
			return nil, false
		}
	}
	return l, true
}

func (r *row) decode(text string, into any) {
	if err := json.Unmarshal([]byte(text), into); err != nil && r.err == nil {
		r.err = fmt.Errorf("column %d: %w", r.at, err)
	}
}

func (r *row) fail(want string, got any) {
	if r.err == nil {
		r.err = fmt.Errorf("column %d is a %T, not %s", r.at, got, want)
	}
}

// micros is a time as it is stored. The zero time is a number like any other, far
// before 1970, and comes back as itself.
func micros(t time.Time) int64 { return t.UnixMicro() }

// when is a time as it comes back.
func when(t time.Time) time.Time { return time.UnixMicro(micros(t)).UTC() }

// oddTexts reads what the function of that name stores. An empty list is nil.
func (r *row) oddTexts() (l []string) {
	text := r.text()
	if text == "[]" {
		return nil
	}
	var ok bool
	if l, ok = plainList(text); !ok {
		r.decode(text, &l)
	}
	for i := range l {
		l[i] = unescaped(l[i])
	}
	return l
}

// oddTexts is a list of any texts as it is stored: JSON has no place for bytes that
// are no text.
func oddTexts(l []string) string {
	all := make([]string, len(l))
	for i := range l {
		all[i] = escaped(l[i])
	}
	return texts(all)
}

// texts is a list as it is stored. nil and empty stay apart.
func texts(l []string) string {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(text)
}
