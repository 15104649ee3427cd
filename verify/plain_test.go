package verify

import (
	"slices"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// What plainObject accepts, jose.Members must accept and read the same.
func FuzzPlainObjectAgreesWithJOSE(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"a"}`, `{"sub":"a","exp":1900000000,"amr":["a","b"],"x":"y","z":[]}`, `{"sub":"a","sub":"b"}`, `{"x":1,"x":2}`, `{"sub":"a"}x`,
		`{"sub":"a",}`, `{,"sub":"a"}`, `{"sub"}`, `{"sub":}`, `{"sub":"a"`, `{"sub":["a",]}`, `{"sub":[`, `{"exp":1.5}`, `{"exp":01}`, `{"exp":1e3}`, `{"exp":0}`,
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
			if got, err := readList(string(value)); !slices.Equal(got, want) || (err == nil) != (wantErr == nil) {
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

func TestWhatWaferMintsIsPlain(t *testing.T) {
	t.Parallel()
	var found [nameActive + 1]string
	const minted = `{"iss":"https://id.test","sub":"u","aud":"https://a.test","exp":1900000300,"iat":1900000000,"jti":"t","client_id":"c",` +
		`"scope":"a b","sid":"s","rsn":18734,"auth_time":1899990000,"acr":"1","amr":["pwd","otp"]}`
	if !plainObject(minted, &found) {
		t.Error("a token as Wafer mints it takes the slow way")
	}
}
