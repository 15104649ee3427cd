package file_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/file"
)

func encode(t testing.TB, r session.Record) []byte {
	t.Helper()
	data, err := file.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decodes(t testing.TB, data []byte, want session.Record) {
	t.Helper()
	got, err := file.Decode(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("error %v\n got %+v\nwant %+v", err, got, want)
	}
}

func TestTextThatIsNotUTF8IsKept(t *testing.T) {
	t.Parallel()
	r := record(1)
	r.ID, r.Agent, r.Address = "a\xff", "cut \xf0\x9f", `{"base64":"AA=="}`
	decodes(t, encode(t, r), r)
}

func TestTimesThatCannotBeKeptAreRefused(t *testing.T) {
	t.Parallel()
	r := record(1)
	for _, year := range []int{-1, 10_000, 200_000} {
		r.ExpiresAt = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		if _, err := file.Encode(r); err == nil {
			t.Errorf("year %d: no error", year)
		}
	}
	for _, year := range []int{0, 1, 1969, 9999} {
		r.ExpiresAt = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		decodes(t, encode(t, r), r)
	}
}

// TestTornUseIsTheOneBefore tears each use after each byte, and the one before
// still stands.
func TestTornUseIsTheOneBefore(t *testing.T) {
	t.Parallel()
	r := record(1)
	data := encode(t, r)
	for n := range 5 {
		next := r
		next.SeenAt, next.IdleUntil = r.SeenAt.Add(time.Duration(n+1)*time.Minute), r.IdleUntil.Add(time.Duration(n+1)*time.Minute)
		line, at, err := file.NextUse(data, next)
		if err != nil {
			t.Fatal(err)
		}
		whole := bytes.Clone(data)
		copy(whole[at:], line)
		for cut := range line {
			torn := bytes.Clone(data)
			copy(torn[at:], line[:cut])
			if bytes.Equal(torn, whole) {
				continue
			}
			decodes(t, torn, r)
		}
		decodes(t, whole, next)
		data, r = whole, next
	}
}

func TestUseOfAnotherRecordIsNone(t *testing.T) {
	t.Parallel()
	one, two := record(1), record(2)
	used := one
	used.SeenAt, used.IdleUntil = start.Add(time.Minute), start.Add(2*time.Hour)
	data := encode(t, one)
	line, at, err := file.NextUse(data, used)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[at:], line)
	decodes(t, data, used)
	other := encode(t, two)
	copy(other[at:], line)
	decodes(t, other, two)
}

func FuzzDecode(f *testing.F) {
	r := record(1)
	r.AMR, r.Leaving, r.Agent = nil, true, "\xff"
	for _, one := range []session.Record{record(1), r} {
		data := encode(f, one)
		f.Add(data)
		line, at, err := file.NextUse(data, one)
		if err != nil {
			f.Fatal(err)
		}
		copy(data[at:], line)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= file.HeadSize() {
			// Whatever stands there, a use finds a place within the lines or none.
			if line, at, err := file.NextUse(data, record(1)); err == nil && (len(line) != 51 || at != 0 && at != 51) {
				t.Fatalf("a use at %d: %q", at, line)
			}
		}
		r, err := file.Decode(data)
		if err != nil {
			return
		}
		decodes(t, encode(t, r), r)
	})
}
