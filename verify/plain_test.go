package verify

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// What plainObject accepts, jose.Members must accept and read the same.
func FuzzPlainObjectAgreesWithJOSE(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"a"}`, `{"sub":"a","exp":1900000000,"amr":["a","b"],"x":"y","z":[]}`, `{"sub":"a","sub":"b"}`, `{"x":1,"x":2}`, `{"sub":"a"}x`,
		`{"sub":"a",}`, `{,"sub":"a"}`, `{"sub"}`, `{"sub":}`, `{"sub":"a"`, `{"sub":["a",]}`, `{"sub":[`, `{"exp":1.5}`, `{"exp":01}`, `{"exp":1e3}`, `{"exp":0}`,
		`{"rsn":0,"exp":0}`, `{"rsn":00}`, `{"rsn":-0}`, `{"rsn":0.0}`, `{"rsn":0e0}`, `{"rsn":0 }`, `{"rsn":0x1}`, `{"rsn":0`, `{"rsn":[0]}`,
		`{"s\u0075b":"a"}`, `{"sub":"ü"}`, `{"":""}`, `{"sub":"a"}{"sub":"b"}`, `["a"]`, `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}`, `{"sub":"a\"}`,
		`{"exp":1`, `{"sub":"a":"b"}`, `{"amr":["a""b"]}`, `{"amr":["a"],}`, `{"active":true}`, `{"iss":"","sub":""}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want [nameActive + 1]string
		if !plainObject(s, &got) {
			if got != want {
				t.Errorf("%s: gave up and left %q", s, got)
			}
			return
		}
		members, err := jose.Members([]byte(s))
		if err != nil {
			t.Fatalf("%s: accepted, but jose.Members says %v", s, err)
		}
		for _, m := range members {
			if n := nameOf(m.Name); n != 0 {
				want[n] = string(m.Value)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", s, got, want)
		}
	})
}

// The quick ways of reading one value must say what package jose says.
func FuzzQuickReadersAgreeWithJOSE(f *testing.F) {
	for _, seed := range []string{
		`"abc"`, `""`, `"a\"b"`, `"ü"`, `[]`, `["a"]`, `["a", "b,]["]`, `[ "a" , "\u0061" ]`, `[1]`, `["a",null]`, `[["a"]]`, `[{"a":"b"}]`, `{}`, `null`,
		`1900000000`, `0`, `-1`, `-190000000`, `1.5e3`, `1900000000.5`, `9999999999`, `0.00000000`, `999999999999999999`, `253402300800`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		members, err := jose.Members([]byte(`{"x":` + raw + `}`))
		if err != nil || len(members) != 1 {
			return
		}
		value := members[0].Value

		wantText, wantErr := jose.String(value)
		if got, err := readText(string(value)); got != wantText || (err == nil) != (wantErr == nil) {
			t.Errorf("text %s: got %q, %v, want %q, %v", value, got, err, wantText, wantErr)
		}
		if value[0] == '[' {
			want, wantErr := jose.StringOrArray(value)
			if got, err := readList(&claims{}, string(value)); !slices.Equal(got, want) || (err == nil) != (wantErr == nil) {
				t.Errorf("list %s: got %q, %v, want %q, %v", value, got, err, want, wantErr)
			}
		}
		wantNumber, wantErr := jose.Int64(value)
		if wantErr == nil && wantNumber < 0 {
			wantNumber, wantErr = 0, ErrClaims
		}
		if got, err := readPosition(string(value)); err == nil && got != wantNumber || (err == nil) != (wantErr == nil) {
			t.Errorf("position %s: got %v, %v, want %v, %v", value, got, err, wantNumber, wantErr)
		}
		wantDate, wantErr := jose.NumericDate(value)
		if got, err := readDate(string(value)); !got.Equal(wantDate) || (err == nil) != (wantErr == nil) {
			t.Errorf("date %s: got %v, %v, want %v, %v", value, got, err, wantDate, wantErr)
		}
	})
}

// Every form of a number: the quick way takes whole ones as the grammar spells them,
// and claims read the same on both ways.
func TestNumbersReadTheSameOnBothWays(t *testing.T) {
	t.Parallel()
	v := &Verifier{}
	for _, c := range []struct {
		number string
		quick  bool
	}{
		{"0", true}, {"1", true}, {"9", true}, {"10", true}, {"18734", true}, {"1900000000", true}, {"9999999999", true}, {"999999999999999999", true},
		{"9223372036854775807", true}, {"9223372036854775808", true}, {"18446744073709551616", true}, {"1" + strings.Repeat("0", 400), true},
		{"00", false}, {"01", false}, {"00000000001", false}, {"-0", false}, {"-1", false}, {"-01", false}, {"+1", false}, {"--1", false}, {"-", false}, {"", false},
		{"0.0", false}, {"0.", false}, {".0", false}, {"1.0", false}, {"1.5", false}, {"1900000000.5", false}, {"0e0", false}, {"0E+1", false}, {"1e3", false}, {"1e", false},
		{"0x0", false}, {"0b1", false}, {"0_1", false}, {"1_000", false}, {"0 ", false}, {" 0", false}, {"0\t", false}, {"0\x00", false}, {"0:", false}, {"0]", false}, {"0\"", false},
		{"NaN", false}, {"Infinity", false}, {"null", false}, {"true", false}, {"\u0660", false}, {"\uff10", false},
	} {
		for _, form := range []string{`{"%s":` + c.number + `}`, `{"%s":` + c.number + `,"sub":"u"}`, `{"sub":"u","%s":` + c.number + `}`} {
			for _, claim := range []string{"rsn", "exp", "iat", "nbf", "auth_time", "idle", "touch", "more"} {
				plainly := fmt.Sprintf(form, claim)
				var found [nameActive + 1]string
				if got := plainObject(plainly, &found); got != c.quick {
					t.Errorf("%s: the quick way says %t", plainly, got)
				}
				// A space keeps an object that says the same off the quick way.
				spaced := "{ " + plainly[1:]
				if plainObject(spaced, &found) {
					t.Fatalf("%s went the quick way", spaced)
				}
				quick, slow := claims{id: &Identity{}}, claims{id: &Identity{}}
				quickErr, slowErr := v.readClaims(&quick, plainly), v.readClaims(&slow, spaced)
				quick.id.object, slow.id.object = "", ""
				if quickErr != slowErr || !reflect.DeepEqual(quick, slow) {
					t.Errorf("%s: %+v, %v on the quick way, %+v, %v on the slow one", plainly, quick, quickErr, slow, slowErr)
				}
			}
		}
	}
}

func TestWhatWaferMintsIsPlain(t *testing.T) {
	t.Parallel()
	for _, rsn := range []string{"0", "1", "18734"} { // a server before its first revocation, and later
		minted := `{"iss":"https://id.test","sub":"u","aud":"https://a.test","exp":1900000300,"iat":1900000000,"jti":"t","client_id":"c",` +
			`"scope":"a b","sid":"s","rsn":` + rsn + `,"auth_time":1899990000,"acr":"1","amr":["pwd","otp"]}`
		var found [nameActive + 1]string
		if !plainObject(minted, &found) || found[nameRSN] != rsn {
			t.Errorf("a token as Wafer mints it at %s takes the slow way", rsn)
		}
	}
}
