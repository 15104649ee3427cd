package redis_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/redis"
)

func TestNumbersCompareAsTexts(t *testing.T) {
	t.Parallel()
	all := []int64{math.MinInt64, -62_135_596_800_000_000, -1, 0, 1, 9, 10, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
	texts := make([]string, 0, len(all))
	for _, v := range all {
		texts = append(texts, redis.Digits(v))
	}
	if !slices.IsSorted(texts) || len(slices.Compact(slices.Clone(texts))) != len(all) {
		t.Errorf("not in order: %q", texts)
	}
	for _, text := range texts {
		if len(text) != 20 {
			t.Errorf("%q has %d digits, want 20", text, len(text))
		}
	}
}

func TestRecordsReadBackAsWritten(t *testing.T) {
	t.Parallel()
	full := record("s1", "ada")
	full.AMR, full.RSN, full.Leaving, full.Binding = []string{"", "a:b", "\x00\xff"}, math.MaxInt64, true, "agent"
	full.Agent = "\xff\r\n$3\r\n"
	empty := record("s2", "ada")
	empty.AMR = []string{}
	for _, want := range []session.Record{full, empty, {}, {Session: session.Session{ID: strings.Repeat("x", 1<<16), ExpiresAt: at(0)}}} {
		text, err := redis.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := redis.Decode(text, want.Secret)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, error %v\nwant %+v", got, err, want)
		}
	}
	full.AMR = []string{strings.Repeat("x", 1_000_000)}
	if _, err := redis.Encode(full); err == nil {
		t.Error("an AMR of a megabyte: no error")
	}
}

func TestNothingButARecordIsReadAsOne(t *testing.T) {
	t.Parallel()
	good, err := redis.Encode(record("s1", "ada"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := redis.Decode(good, opaque.Digest{}); err != nil {
		t.Fatal(err)
	}
	for n := range len(good) {
		if r, err := redis.Decode(good[:n], opaque.Digest{}); err == nil {
			t.Fatalf("the first %d bytes are read as %+v", n, r)
		}
	}
	for name, bad := range map[string]string{
		"more behind":    good + "0:",
		"another format": "W2" + good[2:],
		"another flag":   "W1+" + good[3:],
		"letters":        good[:10] + "x" + good[11:],
		"a sign":         good[:123] + "+00006" + good[129:],
		"too big":        good[:3] + strings.Repeat("9", 20) + good[23:],
		"leading zero":   strings.Replace(good, "2:s1", "02:s1", 1),
		"AMR too long":   good[:123] + "999999" + good[129:],
		"AMR of words":   strings.Replace(good, "[3:pwd", "{3:pwd", 1),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was spoiled", name)
		}
		if r, err := redis.Decode(bad, opaque.Digest{}); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, r := range []session.Record{{}, record("s1", "ada"), {Session: session.Session{AMR: []string{}, CreatedAt: time.Unix(0, 0)}, RSN: -1, Leaving: true}} {
		text, err := redis.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := redis.Decode(text, opaque.Digest{})
		if err != nil {
			return
		}
		again, err := redis.Encode(r)
		if err != nil || again != text {
			t.Errorf("%q is read, and written again as %q, error %v", text, again, err)
		}
	})
}
