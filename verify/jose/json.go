package jose

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Caps on JSON from outside. Real tokens nest three or four deep.
const (
	maxDepth   = 16
	maxMembers = 512
)

// Member is one name and raw value of a JSON object.
type Member struct {
	Name  string
	Value []byte // the JSON text of the value, without space around it
}

// Members reads exactly one JSON object. Names are exact and case-sensitive; the
// order is that of the text. A duplicate name at any depth, invalid UTF-8, a lone
// surrogate, more than 16 levels, more than 512 members in one object or anything
// but space after the object is ErrMalformed. Values point into object.
func Members(object []byte) ([]Member, error) {
	var buf [16]field
	fields, err := scanObject(object, buf[:0])
	if err != nil {
		return nil, err
	}
	// One copy holds all names, instead of one allocation for each.
	text := string(object)
	members := make([]Member, len(fields))
	for i, f := range fields {
		name := text[f.start : f.start+len(f.name)]
		if f.escaped {
			name = string(f.name)
		}
		members[i] = Member{Name: name, Value: f.value}
	}
	return members, nil
}

// field is a member whose name is not yet copied: start is where it begins in
// the text, unless it was escaped.
type field struct {
	name    []byte
	value   []byte
	start   int
	escaped bool
}

// scanObject appends the members of the one object that b must hold to dst.
func scanObject(b []byte, dst []field) ([]field, error) {
	s := scanner{b: b}
	s.space()
	if s.peek() != '{' {
		return nil, malformed("not a JSON object")
	}
	fields, err := s.object(1, dst)
	if err != nil {
		return nil, err
	}
	return fields, s.end()
}

// scanArray returns the raw elements of the one array that b must hold.
func scanArray(b []byte) ([][]byte, error) {
	s := scanner{b: b}
	s.space()
	if s.peek() != '[' {
		return nil, malformed("not a JSON array")
	}
	elements, err := s.array(1, true)
	if err != nil {
		return nil, err
	}
	return elements, s.end()
}

type scanner struct {
	b []byte
	i int
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) end() error {
	s.space()
	if s.i != len(s.b) {
		return malformed("data after the JSON value")
	}
	return nil
}

// value scans any value at the given depth and returns its text.
func (s *scanner) value(depth int) ([]byte, error) {
	start := s.i
	var err error
	switch c := s.peek(); {
	case c == '{':
		var buf [8]field
		_, err = s.object(depth, buf[:0])
	case c == '[':
		_, err = s.array(depth, false)
	case c == '"':
		_, _, err = s.text()
	case c == '-' || isDigit(c):
		err = s.number()
	default:
		err = s.literal()
	}
	if err != nil {
		return nil, err
	}
	return s.b[start:s.i:s.i], nil
}

func (s *scanner) object(depth int, fields []field) ([]field, error) {
	if depth > maxDepth {
		return nil, malformed("JSON nested too deeply")
	}
	s.i++
	s.space()
	if s.peek() == '}' {
		s.i++
		return fields, nil
	}
	for {
		f, err := s.member(depth)
		if err != nil {
			return nil, err
		}
		for i := range fields {
			if bytes.Equal(fields[i].name, f.name) {
				return nil, malformed("duplicate JSON member")
			}
		}
		if len(fields) == maxMembers {
			return nil, malformed("too many JSON members")
		}
		fields = append(fields, f)
		more, err := s.next('}')
		if err != nil || !more {
			return fields, err
		}
	}
}

func (s *scanner) member(depth int) (field, error) {
	if s.peek() != '"' {
		return field{}, malformed("JSON member without a name")
	}
	name, escaped, err := s.text()
	if err != nil {
		return field{}, err
	}
	f := field{name: name, escaped: escaped, start: s.i - 1 - len(name)}
	if escaped {
		f.name = unescape(name)
	}
	s.space()
	if s.peek() != ':' {
		return field{}, malformed("JSON member without a value")
	}
	s.i++
	s.space()
	f.value, err = s.value(depth + 1)
	return f, err
}

// array returns the raw elements only when keep is set.
func (s *scanner) array(depth int, keep bool) ([][]byte, error) {
	if depth > maxDepth {
		return nil, malformed("JSON nested too deeply")
	}
	s.i++
	s.space()
	if s.peek() == ']' {
		s.i++
		return nil, nil
	}
	var elements [][]byte
	for {
		raw, err := s.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if keep {
			elements = append(elements, raw)
		}
		more, err := s.next(']')
		if err != nil || !more {
			return elements, err
		}
	}
}

// next steps over a comma and the space around it, or over the closing byte.
func (s *scanner) next(closing byte) (more bool, err error) {
	s.space()
	switch s.peek() {
	case ',':
		s.i++
		s.space()
		return true, nil
	case closing:
		s.i++
		return false, nil
	}
	return false, malformed("JSON value not closed")
}

// text scans a string and returns what stands between its quotes, still escaped.
func (s *scanner) text() (inner []byte, escaped bool, err error) {
	s.i++
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1 : s.i-1], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < 0x20:
			return nil, false, malformed("control character in a JSON string")
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, size := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && size == 1 {
				return nil, false, malformed("invalid UTF-8")
			}
			s.i += size
		}
	}
	return nil, false, malformed("JSON string not closed")
}

// escape scans one escape sequence; a surrogate must come as a pair.
func (s *scanner) escape() error {
	s.i++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
		r, ok := hexRune(s.b[s.i+1:])
		if !ok {
			return malformed("bad JSON escape")
		}
		s.i += 5
		if !utf16.IsSurrogate(r) {
			return nil
		}
		if !bytes.HasPrefix(s.b[s.i:], []byte(`\u`)) {
			return malformed("lone surrogate")
		}
		low, ok := hexRune(s.b[s.i+2:])
		if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
			return malformed("lone surrogate")
		}
		s.i += 6
		return nil
	}
	return malformed("bad JSON escape")
}

func hexRune(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.i++
	}
	switch {
	case s.peek() == '0':
		s.i++
	case !s.digits():
		return malformed("bad JSON number")
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return malformed("bad JSON number")
		}
	}
	if s.peek() == 'e' || s.peek() == 'E' {
		s.i++
		if s.peek() == '+' || s.peek() == '-' {
			s.i++
		}
		if !s.digits() {
			return malformed("bad JSON number")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.i
	for isDigit(s.peek()) {
		s.i++
	}
	return s.i > start
}

func (s *scanner) literal() error {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(s.b)-s.i >= len(word) && string(s.b[s.i:s.i+len(word)]) == word {
			s.i += len(word)
			return nil
		}
	}
	return malformed("not a JSON value")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// unescape decodes the inside of a string that text has accepted.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			out = append(out, b[i])
			i++
			continue
		}
		c := b[i+1]
		i += 2
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hexRune(b[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hexRune(b[i+2:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return out
}
