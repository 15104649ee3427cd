package jose_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

func TestMembersKeepsOrderAndRawText(t *testing.T) {
	t.Parallel()
	got, err := jose.Members([]byte(" { \"a\" : 1.50 ,\n\"b\":[ 1, {\"c\" :null} ] , \"\\u00e9\\n\\ud83d\\ude00\":\"x\\ty\",\"\":true } "))
	if err != nil {
		t.Fatal(err)
	}
	want := []jose.Member{
		{"a", []byte("1.50")}, {"b", []byte("[ 1, {\"c\" :null} ]")}, {"é\n😀", []byte(`"x\ty"`)}, {"", []byte("true")},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d members, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Name != want[i].Name || string(got[i].Value) != string(want[i].Value) {
			t.Errorf("member %d: got %q %s, want %q %s", i, got[i].Name, got[i].Value, want[i].Name, want[i].Value)
		}
	}
	if empty, err := jose.Members([]byte("{}")); err != nil || len(empty) != 0 {
		t.Errorf("{}: got %v, %v", empty, err)
	}
}

func TestMembersRefusesWhatIsNotStrictJSON(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		``, ` `, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{,}`, `{"a":1,,"b":2}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`,
		`[]`, `null`, `"a"`, `1`, `{}{}`, `{}x`, `{} null`, "{}\x00", "\x00{}", "\xef\xbb\xbf{}", "{}\v", "\u00a0{}", `{"a":1}//`,
		`{"a":tru}`, `{"a":True}`, `{"a":nul}`, `{"a":undefined}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":-}`, `{"a":+1}`, `{"a":.5}`,
		`{"a":1.}`, `{"a":01}`, `{"a":-01}`, `{"a":1e}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":1_0}`,
		`{"a":"}`, `{"a":"\"}`, `{"a":"\x41"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`,
		`{"a":"\ud800x"}`, `{"a":"\ud800\n"}`, `{"\ud800":1}`, "{\"a\":\"\n\"}", "{\"a\":\"\t\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}",
		"{\"a\":\"\xed\xa0\x80\"}", "{\"\xff\":1}", "{\"a\":\"\xf4\x90\x80\x80\"}", `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":{]}`,
		`{"a":'b'}`, `{"a":1,"a":1}`, `{"a":{"b":1,"b":1}}`, `{"":1,"":1}`, `{"é":1,"\u00e9":2}`,
	} {
		if got, err := jose.Members([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %v, %v; want ErrMalformed", in, got, err)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00e9\u0000"`: "é\x00", `"\uD83D\uDE00"`: "😀", `"é😀"`: "é😀",
		`"\ufffd"`: "\ufffd", "\"\ufffd\"": "\ufffd",
	} {
		if got, err := jose.String([]byte(in)); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{``, `a`, `"a`, `a"`, `"a"b`, `"a" `, ` "a"`, `null`, `1`, `["a"]`, `"\ud83d"`, "\"\xff\""} {
		if got, err := jose.String([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %q, %v; want ErrMalformed", in, got, err)
		}
	}
}

func TestStringOrArray(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`"a"`: "a", `["a"]`: "a", `[ "a" , "b" ]`: "a|b", `[]`: "", `["a","a"]`: "a|a"} {
		got, err := jose.StringOrArray([]byte(in))
		if err != nil || strings.Join(got, "|") != want || got == nil {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{``, `null`, `1`, `{}`, `{"a":1}`, `[1]`, `["a",null]`, `["a",["b"]]`, `["a"`, `["a"]]`, `[1,"a"]`} {
		if got, err := jose.StringOrArray([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %q, %v; want ErrMalformed", in, got, err)
		}
	}
}

func TestBoolAndInt64(t *testing.T) {
	t.Parallel()
	if v, err := jose.Bool([]byte("true")); !v || err != nil {
		t.Error("true is true")
	}
	if v, err := jose.Bool([]byte("false")); v || err != nil {
		t.Error("false is false")
	}
	for _, in := range []string{``, `null`, `1`, `"true"`, `TRUE`} {
		if _, err := jose.Bool([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("bool %q: got %v, want ErrMalformed", in, err)
		}
	}
	for in, want := range map[string]int64{
		`0`: 0, `-0`: 0, `-5`: -5, `9007199254740993`: 9007199254740993, `9223372036854775807`: 1<<63 - 1, `-9223372036854775808`: -1 << 63,
	} {
		if got, err := jose.Int64([]byte(in)); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{``, `null`, `1.0`, `1e3`, `9223372036854775808`, `"1"`, `+1`, `01`, `0x10`, `1_0`, ` 1`} {
		if got, err := jose.Int64([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("int %q: got %d, %v; want ErrMalformed", in, got, err)
		}
	}
}

// JWT-046: dates at the edges of numbers; nothing wraps or rounds into the future.
func TestNumericDate(t *testing.T) {
	t.Parallel()
	at := time.Unix
	for in, want := range map[string]time.Time{
		`0`: at(0, 0), `-1`: at(-1, 0), `1700000000`: at(1700000000, 0), `1700000000.5`: at(1700000000, 5e8), `1.7e9`: at(1700000000, 0),
		`1.7000000005E+9`: at(1700000000, 5e8), `17e8`: at(1700000000, 0), `17000000000e-1`: at(1700000000, 0), `1700000000.123456789`: at(1700000000, 123456789),
		`1700000000.9999999999`: at(1700000000, 999999999), `-0.5`: at(0, -5e8), `0.000`: at(0, 0), `0e99999999999`: at(0, 0), `1e-400`: at(0, 0),
		`1e-99999999999999999999`: at(0, 0), `253402300799`: at(253402300799, 0), `253402300799.9`: at(253402300799, 9e8), `-62135596800`: at(-62135596800, 0),
		`0.0000000017e18`: at(1700000000, 0), `1.5`: at(1, 5e8),
	} {
		got, err := jose.NumericDate([]byte(in))
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		``, `null`, `"1700000000"`, `true`, `NaN`, `Infinity`, `-`, `1.`, `.5`, `01`, `1e400`, `1e308`, `1e99999999999999999999`, `253402300800`, `1e12`,
		`-62135596801`, `9007199254740993`, `9223372036854775808`, `18446744073709551616`, `1700000000 `, `[1]`, `{}`, strings.Repeat("1", 65), `-1e12`,
	} {
		if got, err := jose.NumericDate([]byte(in)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %v, %v; want ErrMalformed", in, got, err)
		}
	}
}

func TestSegmentsAreCanonical(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "AA", "_-8", "AQID", "AQIDBA"} {
		b, err := jose.DecodeSegment(in)
		if err != nil || jose.EncodeSegment(b) != in {
			t.Errorf("%q: got %x, %v", in, b, err)
		}
	}
	for _, in := range []string{"A", "AAAAA", "AA=", "AA==", "QR", "AB", "AAB", "A A", "AA\n", "\r\nAA", "A\nA", "+/8", "AA.", "Aé"} {
		if b, err := jose.DecodeSegment(in); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %x, %v; want ErrMalformed", in, b, err)
		}
	}
}
