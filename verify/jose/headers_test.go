package jose_test

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

var errorKinds = []error{
	jose.ErrMalformed, jose.ErrTooLarge, jose.ErrAlgorithm, jose.ErrCritical, jose.ErrKey, jose.ErrSignature, jose.ErrDecrypt,
}

// sameReading holds r to what the function Parse says of the same token, up to
// and including its verification, and to the same texts of errors.
func sameReading(tb testing.TB, r *jose.Headers, k *jose.Key, token string, l jose.Limits) {
	tb.Helper()
	want, wantErr := jose.Parse(token, l)
	got, gotErr := r.Parse(token, l)
	if !sameError(gotErr, wantErr) {
		tb.Fatalf("%q: got %v, want %v", token, gotErr, wantErr)
	}
	if (got == nil) != (gotErr != nil) || (want == nil) != (wantErr != nil) {
		tb.Fatalf("%q: a message and an error, or neither", token)
	}
	if want == nil {
		return
	}
	if !reflect.DeepEqual(got.Header, want.Header) || got.UnverifiedText() != want.UnverifiedText() {
		tb.Fatalf("%q: got %+v %q, want %+v %q", token, got.Header, got.UnverifiedText(), want.Header, want.UnverifiedText())
	}
	payload, gotErr := got.Verify(k)
	wantPayload, wantErr := want.Verify(k)
	if !sameError(gotErr, wantErr) || string(payload) != string(wantPayload) {
		tb.Fatalf("%q verified: got %q, %v, want %q, %v", token, payload, gotErr, wantPayload, wantErr)
	}
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	for _, kind := range errorKinds {
		if errors.Is(a, kind) != errors.Is(b, kind) {
			return false
		}
	}
	return a.Error() == b.Error()
}

// remember verifies a token, so that r holds its header.
func remember(tb testing.TB, r *jose.Headers, k *jose.Key, token string) {
	tb.Helper()
	m, err := r.Parse(token, jose.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := m.Verify(k); err != nil {
		tb.Fatal(err)
	}
	if !slices.Contains(r.Remembered(), segments(token)[0]) {
		tb.Fatal("the header of a verified token was not remembered")
	}
}

func TestRememberedHeaderReadsAsItDidTheFirstTime(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	for _, header := range []string{
		`{"alg":"HS256"}`, `{"alg":"HS256","typ":"at+jwt","kid":"k1"}`, ` { "kid" : "k1" , "alg" : "HS256" } `,
		`{"alg":"HS256","typ":"application/at+jwt","cty":"JWT","kid":"schl\u00fcssel \"1\""}`,
		`{"alg":"\u0048S256","jwk":{"kty":"oct","k":"AAAA"},"x5u":"https://evil.test","n":[1,{"a":null}]}`,
	} {
		r := &jose.Headers{}
		good := forge(testSecret, header, claims)
		remember(t, r, k, good)
		p := segments(good)
		for _, token := range []string{
			good, forge(testSecret, header, `{"other":"claims"}`), forge([]byte("another secret"), header, claims),
			p[0] + "." + p[1] + "." + b64(make([]byte, 32)), p[0] + "." + p[1] + ".AA", p[0] + "." + p[1] + "." + b64(make([]byte, 700)),
			p[0] + ".A." + p[2], p[0] + "." + p[1] + "=." + p[2], p[0] + "." + p[1] + "." + p[2] + "=", p[0] + ".=." + p[2] + "=",
			p[0], p[0] + ".", p[0] + "..", p[0] + ".." + p[2], p[0] + "." + p[1], p[0] + "." + p[1] + ".", good + ".", good + "." + p[2],
			p[0] + "=." + p[1] + "." + p[2], p[0] + "\n." + p[1] + "." + p[2], "." + good, strings.ToUpper(p[0]) + "." + p[1] + "." + p[2],
		} {
			sameReading(t, r, k, token, jose.Limits{})
			sameReading(t, r, k, token, jose.Limits{Token: len(good) - 1})
			sameReading(t, r, k, token, jose.Limits{Header: len(p[0])})
			sameReading(t, r, k, token, jose.Limits{Header: len(p[0]) - 1})
		}
		if got := r.Remembered(); len(got) != 1 || got[0] != p[0] {
			t.Errorf("remembered %q, want %q alone", got, p[0])
		}
	}
}

// A header that is refused is refused for what it says, however often it comes and
// whatever signature it carries.
func TestAttackRefusedHeaderIsNeverRemembered(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	r := &jose.Headers{}
	good := mustSign(t, k)
	remember(t, r, k, good)
	for _, header := range []string{
		`{}`, `{"alg":"none"}`, `{"alg":"hs256"}`, `{"alg":"HS256","crit":["exp"]}`, `{"alg":"HS256","b64":false}`, `{"alg":"HS256","zip":"DEF"}`,
		`{"alg":"HS256","enc":"A256GCM"}`, `{"alg":"HS256","alg":"HS256"}`, `{"alg":"HS256","kid":"\u0000"}`, `{"alg":"HS384"}`, `{"alg":"HS256"} x`, `[]`,
	} {
		bad := forge(testSecret, header, claims)
		for range 3 {
			sameReading(t, r, k, bad, jose.Limits{})
			if m, err := r.Parse(bad, jose.Limits{}); err == nil {
				if _, err := m.Verify(k); err == nil {
					t.Fatalf("%s was accepted", header)
				}
			}
		}
	}
	if got := r.Remembered(); len(got) != 1 || got[0] != segments(good)[0] {
		t.Errorf("remembered %q", got)
	}
	sameReading(t, r, k, good, jose.Limits{})
}

// One other character makes another header.
func TestAttackHeaderOneCharacterOff(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	r := &jose.Headers{}
	good := mustSign(t, k)
	remember(t, r, k, good)
	p := segments(good)
	for i := range p[0] {
		for _, c := range []byte("AQgwZaz09-_=+/. \n\x00\xff") {
			if p[0][i] == c {
				continue
			}
			other := p[0][:i] + string([]byte{c}) + p[0][i+1:]
			input := other + "." + p[1]
			sameReading(t, r, k, input+"."+p[2], jose.Limits{})                        // the old signature
			sameReading(t, &jose.Headers{}, k, input+"."+p[2], jose.Limits{})          // and nothing remembered
			sameReading(t, r, k, input+"."+b64(mac(testSecret, input)), jose.Limits{}) // a right one
		}
		for _, other := range []string{p[0][:i] + p[0][i+1:], p[0][:i] + "A" + p[0][i:], p[0][:i]} {
			sameReading(t, r, k, other+"."+p[1]+"."+p[2], jose.Limits{})
		}
	}
	sameReading(t, r, k, good, jose.Limits{})
}

// A caller's own changes to Message.Header are not taken for what the token says.
func TestAttackChangedHeaderIsNotRemembered(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	r := &jose.Headers{}
	good := mustSign(t, k)
	m, err := r.Parse(good, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m.Header.KeyID, m.Header.Type = "other", "other"
	if _, err := m.Verify(k); err != nil {
		t.Fatal(err)
	}
	if len(r.Remembered()) != 1 {
		t.Fatal("the header of a verified token was not remembered")
	}
	sameReading(t, r, k, good, jose.Limits{})
	if m, err = r.Parse(good, jose.Limits{}); err != nil {
		t.Fatal(err)
	}
	m.Header.KeyID = "other" // that of a remembered one
	sameReading(t, r, k, good, jose.Limits{})
}

// Strangers can make any number of headers, but cannot sign for one.
func TestAttackFloodOfHeaders(t *testing.T) {
	t.Parallel()
	flood := 1_000_000
	if testing.Short() {
		flood = 50_000
	}
	k := hmacKey(t)
	r := &jose.Headers{}
	good := mustSign(t, k)
	remember(t, r, k, good)
	p := segments(good)
	before := liveHeap()
	for i := range flood {
		m, err := r.Parse(b64(fmt.Appendf(nil, `{"alg":"HS256","kid":"%d"}`, i))+"."+p[1]+"."+p[2], jose.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Verify(k); !errors.Is(err, jose.ErrSignature) {
			t.Fatalf("got %v, want ErrSignature", err)
		}
	}
	if got := r.Remembered(); len(got) != 1 || got[0] != p[0] {
		t.Fatalf("%d headers remembered after the flood", len(got))
	}
	// Other tests run beside this one; a flood that was kept would take over 100 MB.
	if after := liveHeap(); after > before+32<<20 {
		t.Errorf("heap grew from %d to %d bytes", before, after)
	}
	sameReading(t, r, k, good, jose.Limits{})
}

func liveHeap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// An issuer that writes another header into each token costs time, not memory.
func TestRememberedHeadersAreBounded(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	r := &jose.Headers{}
	for i := range 1000 {
		token := forge(testSecret, fmt.Sprintf(`{"alg":"HS256","kid":"%d"}`, i), claims)
		remember(t, r, k, token)
		sameReading(t, r, k, token, jose.Limits{})
		if got := len(r.Remembered()); got > min(i+1, jose.MaxRemembered) {
			t.Fatalf("%d headers remembered after %d", got, i+1)
		}
	}
	long := forge(testSecret, `{"alg":"HS256","x":"`+strings.Repeat("x", 3000)+`"}`, claims)
	limits := jose.Limits{Header: 8 << 10}
	for range 2 {
		sameReading(t, r, k, long, limits)
	}
	if slices.Contains(r.Remembered(), segments(long)[0]) {
		t.Error("a header over the default limit was remembered")
	}
}

func TestHeadersAreReadAndRememberedConcurrently(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	r := &jose.Headers{}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				kid := fmt.Sprint((i*7 + worker) % (2 * jose.MaxRemembered))
				token := forge(testSecret, `{"alg":"HS256","kid":"`+kid+`"}`, claims)
				m, err := r.Parse(token, jose.Limits{})
				if err != nil || m.Header.KeyID != kid {
					t.Errorf("header of %s reads %+v, %v", kid, m, err)
					return
				}
				if _, err := m.Verify(k); err != nil {
					t.Errorf("a good token was refused: %v", err)
				}
				if m, err = r.Parse(token[:len(token)-43]+b64(make([]byte, 32)), jose.Limits{}); err != nil {
					t.Error(err)
				} else if _, err := m.Verify(k); !errors.Is(err, jose.ErrSignature) {
					t.Errorf("got %v, want ErrSignature", err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(r.Remembered()); got > jose.MaxRemembered {
		t.Errorf("%d headers remembered", got)
	}
}

func FuzzHeaders(f *testing.F) {
	k := hmacKey(f)
	good := mustSign(f, k)
	p := segments(good)
	f.Add(p[0], p[1], p[2])
	f.Add(p[0]+"=", p[1], p[2])
	f.Add(p[0], "A", p[2])
	f.Add(b64([]byte(`{"alg":"HS256","kid":"2"}`)), p[1], p[2])
	f.Add(b64([]byte(`{"alg":"none"}`)), p[1], "")
	f.Fuzz(func(t *testing.T, header, payload, signature string) {
		r := &jose.Headers{}
		remember(t, r, k, good)
		input := header + "." + payload
		for range 2 {
			sameReading(t, r, k, input+"."+signature, jose.Limits{})
			sameReading(t, r, k, input+"."+b64(mac(testSecret, input)), jose.Limits{}) // may be remembered
		}
	})
}
