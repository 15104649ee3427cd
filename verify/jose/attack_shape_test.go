package jose_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Attacks on the shape of a token: its length, its segments, its encoding, its JSON.

// JWT-035: millions of dots must not become millions of strings.
func TestAttackManyDots(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, n := range []int{8 << 10, 8<<10 + 1, 4 << 20} {
		bad := strings.Repeat(".", n)
		want := jose.ErrMalformed
		if n > 8<<10 {
			want = jose.ErrTooLarge
		}
		refuse(t, k, good, bad, want)
		if jose.IsEncrypted(bad) {
			t.Error("dots are not an encrypted token")
		}
	}
}

// JWT-036: any other number of segments, and empty ones.
func TestAttackSegmentCount(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	p := segments(good)
	for _, bad := range []string{
		"", ".", "..", "...", "....", p[0], p[0] + "." + p[1], good + ".", good + "." + p[2], "." + good,
		good + "." + p[1] + "." + p[2], "." + p[1] + "." + p[2], p[0] + ".." + p[2], p[0] + "." + p[1] + ".",
	} {
		refuse(t, k, good, bad, jose.ErrMalformed)
	}
}

// JWT-038: other spellings of one token.
func TestAttackNonCanonicalBase64(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	p := segments(good)
	for i := range p {
		for _, change := range []func(string) string{
			func(s string) string { return s + "=" },
			func(s string) string { return s + "==" },
			func(s string) string { return s + "\n" },
			func(s string) string { return s[:4] + "\r\n" + s[4:] },
			func(s string) string { return s[:4] + " " + s[4:] },
			func(s string) string { return " " + s },
			func(s string) string { return s[:4] + "+" + s[5:] },
			func(s string) string { return s[:4] + "/" + s[5:] },
			func(s string) string { return s[:4] + "\x00" + s[5:] },
			func(s string) string { return s[:4] + "é" + s[6:] },
		} {
			q := append([]string{}, p...)
			q[i] = change(q[i])
			refuse(t, k, good, strings.Join(q, "."), jose.ErrMalformed)
		}
	}
	// 32 bytes of HMAC end in two bits that say nothing: the other three spellings.
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(chars, good[len(good)-1])
	for bits := 1; bits < 4; bits++ {
		refuse(t, k, good, good[:len(good)-1]+string(chars[last+bits]), jose.ErrMalformed)
	}
}

// JWT-039: too long, refused before anything is allocated for it.
func TestAttackOversizedToken(t *testing.T) {
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, size := range []int{8<<10 + 1, 64 << 10, 1 << 20, 16 << 20} {
		bad := good + strings.Repeat("A", size-len(good))
		refuse(t, k, good, bad, jose.ErrTooLarge)
		if n := testing.AllocsPerRun(10, func() { _, _ = jose.Parse(bad, jose.Limits{}) }); n > 0 {
			t.Errorf("%d bytes cost %v allocations", size, n)
		}
	}
	// The limits are the caller's, and exact.
	for _, l := range []jose.Limits{{Token: len(good) - 1}, {Header: len(segments(good)[0]) - 1}} {
		if _, err := jose.Parse(good, l); !errors.Is(err, jose.ErrTooLarge) {
			t.Errorf("%+v: got %v, want ErrTooLarge", l, err)
		}
	}
	if _, err := jose.Parse(good, jose.Limits{Token: len(good), Header: len(segments(good)[0])}); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

// JWT-040: deep nesting in the header and in claims.
func TestAttackDeepNesting(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	refuse(t, k, good, forge(testSecret, `{"alg":"HS256","x":`+deep(600)+`}`, claims), jose.ErrMalformed)
	refuse(t, k, good, forge(testSecret, `{"alg":"HS256","x":`+deep(100_000)+`}`, claims), jose.ErrTooLarge)
	start := time.Now()
	for _, v := range []string{deep(17), deep(100_000), strings.Repeat(`{"a":`, 100_000), strings.Repeat("[", 1<<20)} {
		if _, err := jose.Members([]byte(`{"x":` + v + `}`)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("got %v, want ErrMalformed", err)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("refusing took %v", d)
	}
	if _, err := jose.Members([]byte(`{"x":` + deep(15) + `}`)); err != nil {
		t.Errorf("16 levels: %v", err)
	}
	// A wide object must not cost quadratic time.
	var wide strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&wide, `,"%d":1`, i)
	}
	if _, err := jose.Members([]byte("{" + wide.String()[1:] + "}")); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("100,000 members: got %v, want ErrMalformed", err)
	}
}

// A header that is not one strict JSON object.
func TestAttackHeaderJSON(t *testing.T) {
	t.Parallel()
	k := hmacKey(t)
	good := mustSign(t, k)
	for _, header := range []string{
		``, ` `, `null`, `[]`, `"HS256"`, `{"alg":"HS256"}x`, `{"alg":"HS256"}{}`, `{"alg":"HS256",}`, `{'alg':'HS256'}`,
		`{alg:"HS256"}`, "\xef\xbb\xbf" + `{"alg":"HS256"}`, `{"alg":"HS256","x":"` + "\xff" + `"}`, `{"alg":"HS256","x":"\ud800"}`,
		`{"alg":"HS256","x":NaN}`, `{"alg":"HS256","x":01}`, `{"alg":"HS256"/**/}`, `{"alg":"HS256","typ":1}`, `{"alg":"HS256","cty":null}`,
	} {
		refuse(t, k, good, forge(testSecret, header, claims), jose.ErrMalformed)
	}
	refuse(t, k, good, forge(testSecret, `{"alg":"HS256","enc":"A256GCM"}`, claims), jose.ErrMalformed)
	refuse(t, k, good, forge(testSecret, `{"alg":"HS256","zip":"DEF"}`, claims), jose.ErrAlgorithm)
	// Controls: space around it and members nobody knows.
	accept(t, k, forge(testSecret, "\t{ \"alg\" : \"HS256\" ,\r\n \"x\" : [ {} , -1.5e+3 , \"\\ud83d\\ude00\" ] } ", claims))
}
