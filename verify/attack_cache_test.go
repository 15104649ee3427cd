package verify_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

// counting is a fixed key that counts who asks for it: each does before a signature
// is checked, and nobody whose token is remembered.
type counting struct {
	verify.KeySet
	found atomic.Int64
}

func (c *counting) Version(time.Time) uint64 { return 1 }

func (c *counting) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := c.KeySet.Key(ctx, kid, alg)
	if err == nil {
		c.found.Add(1)
	}
	return key, err
}

// target is a verifier with a cache that can be attacked fast.
type target struct {
	*testing.T
	key  *jose.Key
	keys *counting
	v    *verify.Verifier
}

func newTarget(t *testing.T, places int) *target {
	t.Helper()
	key, err := jose.Generate(jose.HS256, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{T: t, key: key, keys: &counting{KeySet: verify.StaticKeys(key)}}
	tg.v, err = verify.New(verify.Config{
		Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{jose.HS256}, Keys: tg.keys, Stale: verify.Open, CacheSize: places,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tg
}

func (tg *target) token(subject string, n int, lives time.Duration) string {
	claims := goodClaims(time.Now())
	claims["sub"], claims["jti"], claims["exp"] = subject, fmt.Sprint("t_", subject, n), time.Now().Add(lives).Unix()
	return sign(tg, tg.key, claims)
}

// users gives a token of each of so many.
func (tg *target) users(n int) []string {
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = tg.token(fmt.Sprint("u_", i), 0, 5*time.Minute)
	}
	return tokens
}

// checked shows good tokens and tells how many signatures that took.
func (tg *target) checked(tokens ...string) int {
	tg.Helper()
	before := tg.keys.found.Load()
	for _, token := range tokens {
		if _, err := tg.v.Token(context.Background(), token); err != nil {
			tg.Fatalf("a good token is refused: %v", err)
		}
	}
	return int(tg.keys.found.Load() - before)
}

// signedGarbage: one of so many invalid tokens takes a signature check to refuse.
const signedGarbage = 32

// garbage makes the n-th invalid token out of a good one: every one is another text.
func garbage(good string, n int) (token string, want error) {
	head, rest, _ := strings.Cut(good, ".")
	number := fmt.Sprintf("%08d", n)
	switch n % signedGarbage {
	case 0:
		return good[:len(good)-12] + number + good[len(good)-4:], verify.ErrSignature
	case 1:
		return jose.EncodeSegment([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"`+number+`"}`)) + "." + rest, verify.ErrKeyUnknown
	}
	switch n % 6 {
	case 0:
		return number + "." + rest, verify.ErrMalformed
	case 1:
		return head + "." + number + "." + good[len(good)-43:], verify.ErrMalformed
	case 2:
		return good[:len(good)-9] + "=" + number, verify.ErrMalformed
	case 3:
		return head + "." + number, verify.ErrMalformed
	case 4:
		return jose.EncodeSegment([]byte(`{"alg":"HS256","typ":"JWT","kid":"`+number+`"}`)) + ".e30.AAAA", verify.ErrType
	default:
		return jose.EncodeSegment([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+number+`"}`)) + ".e30.AAAA", verify.ErrAlgorithm
	}
}

// heap is what is in use, after all that is not has been collected.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalized
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A million invalid tokens, of which no two are the same: nothing of them is kept,
// and no good token that is remembered costs anything more than before.
func TestFloodOfAMillionInvalidTokensLeavesTheCacheAlone(t *testing.T) {
	flood := 1_000_000
	if testing.Short() {
		flood = 40_000
	}
	tg := newTarget(t, 1<<14)
	good := tg.users(256)
	if n := tg.checked(good...); n != len(good) {
		t.Fatalf("%d signatures of %d good tokens", n, len(good))
	}
	if n := tg.checked(good...); n != 0 {
		t.Fatalf("%d good tokens are not remembered", n)
	}
	before, used := tg.v.Stats(), heap()
	const workers = 2
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < flood; i += workers {
				token, want := garbage(good[0], i)
				if _, err := tg.v.Token(context.Background(), token); !errors.Is(err, want) {
					t.Errorf("invalid token %d: got %v, want %v", i, err, want)
					return
				}
				if i%1000 == w {
					if _, err := tg.v.Token(context.Background(), good[i/1000%len(good)]); err != nil {
						t.Errorf("a good token amid the flood: %v", err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if got, want := tg.keys.found.Load(), int64(len(good)+flood/signedGarbage); got != want {
		t.Errorf("%d signatures were checked, want %d: good tokens were verified again", got, want)
	}
	if n := tg.checked(good...); n != 0 {
		t.Errorf("%d good tokens are no longer remembered", n)
	}
	if s := tg.v.Stats(); s.Remembered != before.Remembered || s.First != before.First+int64(flood) {
		t.Errorf("before: %+v, after: %+v", before, s)
	}
	if grown := heap() - used; grown > 1<<20 {
		t.Errorf("%d bytes are held after the flood that were not before", grown)
	}
	if got := testing.AllocsPerRun(100, func() { tg.checked(good[7]) }); got > 1 { // its own list
		t.Errorf("%v allocations for a good token", got)
	}
}

// One subject, a client with its own credentials say, mints good tokens without end,
// and they live longer than all others.
func TestFloodOfGoodTokensOfOneSubjectLeavesTheOthersTheirs(t *testing.T) {
	minted := 8_000
	if testing.Short() {
		minted = 4_000
	}
	tg := newTarget(t, 4096)
	others := tg.users(32)
	tg.checked(others...)
	if n := tg.checked(others...); n != 0 {
		t.Fatalf("before: %d of %d are not remembered", n, len(others))
	}
	for i := range minted {
		if tg.checked(tg.token("batch-client", i, 12*time.Hour)) != 1 {
			t.Fatal("a new token took no signature check")
		}
	}
	// Where four of the others share a set, one goes. That this happens twice among 1,024 sets is
	// less likely than one in a billion, by the seed that is another in each run.
	if n := tg.checked(others...); n > 1 {
		t.Errorf("after: %d of %d are no longer remembered", n, len(others))
	}
	last := tg.token("batch-client", minted, 12*time.Hour)
	if first, again := tg.checked(last), tg.checked(last); first != 1 || again != 0 {
		t.Errorf("the subject itself: %d signatures, then %d", first, again)
	}
	// The cache is full of it, and all who come now find room.
	late := make([]string, 16)
	for i := range late {
		late[i] = tg.token(fmt.Sprint("late_", i), 0, time.Minute)
	}
	tg.checked(late...)
	if n := tg.checked(late...); n > 4 { // one such set, and all of it
		t.Errorf("late: %d of %d are not remembered", n, len(late))
	}
}
