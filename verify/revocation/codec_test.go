package revocation_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

const issuer = "https://id.example"

var errNoKey = errors.New("no such key")

func feedKey(t testing.TB, kid string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(jose.EdDSA, kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func only(k *jose.Key) revocation.KeyFinder {
	return func(kid string) (*jose.Key, error) {
		if kid != k.ID() {
			return nil, errNoKey
		}
		return k.Public(), nil
	}
}

func sampleFrame() revocation.Frame {
	return revocation.Frame{Issuer: issuer, Epoch: 3, From: 11, To: 13, IssuedAt: 1_790_000_000, Events: []revocation.Event{
		{Kind: revocation.User, Key: 0xfeedfacecafebeef, KeepUntil: 1_790_086_520}, {}, {Kind: revocation.Token, Key: 1, KeepUntil: 5},
	}}
}

func TestFrameComesBackAsItWas(t *testing.T) {
	t.Parallel()
	k := feedKey(t, "f1")
	want := sampleFrame()
	signed, err := want.Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := revocation.ParseFrame(signed, issuer, only(k))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// I15: only what a feed key of this issuer signed, and signed as a frame, is one.
func TestWhatIsNoFrameIsRefused(t *testing.T) {
	t.Parallel()
	k, other := feedKey(t, "f1"), feedKey(t, "f1")
	good, err := sampleFrame().Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(key *jose.Key, typ, payload string) string {
		s, err := jose.Sign(key, jose.Header{Type: typ}, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	secret, err := jose.NewKey(jose.HS256, "f1", []byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	body := `{"iss":"https://id.example","iat":1,"jti":"x","events":{"` + revocation.EventType + `":{"ep":1,"from":1,"to":1,"ev":"AA"}}}`
	foreign := sampleFrame()
	foreign.Issuer = "https://evil.example"
	fromOther, err := foreign.Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"empty":                       "",
		"signed by another key":       signed(other, revocation.FrameType, body),
		"HMAC instead of Ed25519":     signed(secret, revocation.FrameType, body),
		"access token of the key":     signed(k, "at+jwt", body),
		"lease type":                  signed(k, revocation.LeaseType, body),
		"frame of another issuer":     fromOther,
		"cut":                         good[:len(good)-2],
		"no events":                   signed(k, revocation.FrameType, `{"iss":"https://id.example","iat":1,"jti":"x"}`),
		"two kinds of events":         signed(k, revocation.FrameType, strings.Replace(body, `}}}`, `},"b":{}}}`, 1)),
		"duplicate member":            signed(k, revocation.FrameType, strings.Replace(body, `"iat":1`, `"iat":1,"iat":2`, 1)),
		"positions do not fit":        signed(k, revocation.FrameType, strings.Replace(body, `"to":1`, `"to":2`, 1)),
		"negative position":           signed(k, revocation.FrameType, strings.Replace(body, `"from":1`, `"from":-1`, 1)),
		"position is a text":          signed(k, revocation.FrameType, strings.Replace(body, `"from":1`, `"from":"1"`, 1)),
		"epoch zero":                  signed(k, revocation.FrameType, strings.Replace(body, `"ep":1`, `"ep":0`, 1)),
		"unknown kind of entry":       signed(k, revocation.FrameType, strings.Replace(body, `"AA"`, `"-w"`, 1)),
		"entry cut short":             signed(k, revocation.FrameType, strings.Replace(body, `"AA"`, `"AQ"`, 1)),
		"body with padding":           signed(k, revocation.FrameType, strings.Replace(body, `"AA"`, `"AA=="`, 1)),
		"entry without a key":         signed(k, revocation.FrameType, strings.Replace(body, `"AA"`, `"AQAAAAAAAAAAAQ"`, 1)),
		"time longer than it need be": signed(k, revocation.FrameType, strings.Replace(body, `"AA"`, `"AQAAAAAAAAABgAA"`, 1)),
	}
	for name, text := range cases {
		if _, err := revocation.ParseFrame(text, issuer, only(k)); !errors.Is(err, revocation.ErrWire) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := revocation.ParseFrame(signed(feedKey(t, "f2"), revocation.FrameType, body), issuer, only(k)); !errors.Is(err, errNoKey) {
		t.Errorf("key that is not published: got %v", err)
	}
	for _, text := range []string{good, signed(k, revocation.FrameType, body)} {
		if _, err := revocation.ParseFrame(text, issuer, only(k)); err != nil {
			t.Errorf("a good frame is refused: %v", err)
		}
	}
}

func TestFrameThatDoesNotAddUpIsNotSigned(t *testing.T) {
	t.Parallel()
	k := feedKey(t, "f1")
	for name, change := range map[string]func(*revocation.Frame){
		"empty": func(f *revocation.Frame) { f.Events = nil },
		"too long": func(f *revocation.Frame) {
			f.Events = make([]revocation.Event, revocation.EventsMost+1)
			f.To = f.From + revocation.EventsMost
		},
		"off by 1":   func(f *revocation.Frame) { f.To++ },
		"epoch 0":    func(f *revocation.Frame) { f.Epoch = 0 },
		"position 0": func(f *revocation.Frame) { f.From, f.To = 0, 2 },
	} {
		f := sampleFrame()
		change(&f)
		if _, err := f.Sign(k); !errors.Is(err, revocation.ErrWire) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func sampleAnswer() revocation.Answer {
	return revocation.Answer{Verifier: "ver_1", Nonce: "n1", Epoch: 1, Head: 5, AgeMS: 40, Frames: []string{"a.b.c"}, RenewMS: 250, LeaseMS: 2000}
}

func TestLeaseIsForTheOneWhoHoldsItsKey(t *testing.T) {
	t.Parallel()
	mine, other := []byte(strings.Repeat("m", 32)), []byte(strings.Repeat("o", 32))
	sealed, err := revocation.SealLease(sampleAnswer(), mine)
	if err != nil {
		t.Fatal(err)
	}
	got, err := revocation.OpenLease(sealed, mine)
	if err != nil || !reflect.DeepEqual(got, sampleAnswer()) {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, open := range map[string]func() error{
		"another verifier's": func() error { _, err := revocation.OpenLease(sealed, other); return err },
		"changed":            func() error { _, err := revocation.OpenLease(sealed[:len(sealed)-4]+"AAAA", mine); return err },
		"short key":          func() error { _, err := revocation.OpenLease(sealed, mine[:16]); return err },
		"a frame": func() error {
			f, err := sampleFrame().Sign(feedKey(t, "f1"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = revocation.OpenLease(f, mine)
			return err
		},
		"no head": func() error {
			k, err := jose.NewKey(jose.HS256, "", mine)
			if err != nil {
				t.Fatal(err)
			}
			s, err := jose.Sign(k, jose.Header{Type: revocation.LeaseType}, []byte(`{"verifier":"v","nonce":"n","epoch":1,"age_ms":0,"renew_ms":1,"lease_ms":1}`))
			if err != nil {
				t.Fatal(err)
			}
			_, err = revocation.OpenLease(s, mine)
			return err
		},
	} {
		if err := open(); !errors.Is(err, revocation.ErrWire) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSnapshotComesBackSortedAndWhole(t *testing.T) {
	t.Parallel()
	k := feedKey(t, "f1")
	at := revocation.Position{Epoch: 2, Seq: 9}
	entries := []revocation.Entry{
		{Kind: revocation.User, Key: 9, Seq: 3, KeepUntil: 100}, {Kind: revocation.SignKey, Key: 2, Seq: 9, KeepUntil: 7}, {Kind: revocation.Claims, Key: 5, Seq: 1, KeepUntil: 0},
	}
	b, err := revocation.EncodeSnapshot(issuer, at, entries, k)
	if err != nil {
		t.Fatal(err)
	}
	got, all, err := revocation.DecodeSnapshot(b, issuer, only(k))
	want := []revocation.Entry{entries[1], entries[2], entries[0]}
	if err != nil || got != at || !reflect.DeepEqual(all, want) {
		t.Errorf("got %v %v, %v", got, all, err)
	}
	for name, bad := range map[string][]byte{
		"empty":        nil,
		"cut":          b[:len(b)-1],
		"longer":       append(append([]byte{}, b...), 0),
		"changed":      append(append([]byte{}, b[:len(b)-1]...), b[len(b)-1]^1),
		"no head":      b[strings.IndexByte(string(b), '\n'):],
		"head only":    b[:strings.IndexByte(string(b), '\n')],
		"another name": []byte("x" + string(b)),
	} {
		if _, _, err := revocation.DecodeSnapshot(bad, issuer, only(k)); !errors.Is(err, revocation.ErrWire) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := revocation.DecodeSnapshot(b, "https://evil.example", only(k)); !errors.Is(err, revocation.ErrWire) {
		t.Errorf("another issuer's: got %v", err)
	}
	if _, err := revocation.EncodeSnapshot(issuer, at, append(entries, entries[0]), k); err == nil {
		t.Error("a key that is there twice is written")
	}
	if _, err := revocation.EncodeSnapshot(issuer, at, []revocation.Entry{{Kind: revocation.User, Key: 1, Seq: 10}}, k); err == nil {
		t.Error("an entry above the position is written")
	}
}

func TestPositionHasOneSpelling(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"0:0", "1:18734", "3:9007199254740993"} {
		p, err := revocation.ParsePosition(good)
		if err != nil || p.String() != good {
			t.Errorf("%q: got %v, %v", good, p, err)
		}
	}
	for _, bad := range []string{"", "1", ":", "1:", ":1", "01:1", "1:+1", "-1:1", "1:-1", "1:1 ", "1:1:1", "1:99999999999999999999"} {
		if p, err := revocation.ParsePosition(bad); !errors.Is(err, revocation.ErrWire) {
			t.Errorf("%q: got %v, %v", bad, p, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	k := feedKey(f, "f1")
	good, err := sampleFrame().Sign(k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(good), []byte(`{"iss":"https://id.example","iat":1,"jti":"x","events":{"`+revocation.EventType+`":{"ep":1,"from":1,"to":1,"ev":"AA"}}}`))
	f.Fuzz(func(t *testing.T, raw, payload []byte) {
		if _, err := revocation.ParseFrame(string(raw), issuer, only(k)); err != nil && !errors.Is(err, revocation.ErrWire) && !errors.Is(err, errNoKey) {
			t.Fatal(err)
		}
		if len(payload) == 0 {
			return
		}
		signed, err := jose.Sign(k, jose.Header{Type: revocation.FrameType}, payload)
		if err != nil {
			return
		}
		got, err := revocation.ParseFrame(signed, issuer, only(k))
		if err != nil {
			return
		}
		again, err := got.Sign(k)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := revocation.ParseFrame(again, issuer, only(k))
		if err != nil || !reflect.DeepEqual(back, got) {
			t.Fatalf("%+v became %+v, %v", got, back, err)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	k := feedKey(f, "f1")
	good, err := revocation.EncodeSnapshot(issuer, revocation.Position{Epoch: 1, Seq: 9}, []revocation.Entry{{Kind: revocation.User, Key: 9, Seq: 3, KeepUntil: 100}}, k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, _, err := revocation.DecodeSnapshot(raw, issuer, only(k)); err != nil && !errors.Is(err, revocation.ErrWire) && !errors.Is(err, errNoKey) {
			t.Fatal(err)
		}
	})
}

func FuzzLease(f *testing.F) {
	key := []byte(strings.Repeat("m", 32))
	f.Add([]byte(`{"verifier":"v","nonce":"n","epoch":1,"head":1,"age_ms":0,"renew_ms":1,"lease_ms":1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		k, err := jose.NewKey(jose.HS256, "", key)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := jose.Sign(k, jose.Header{Type: revocation.LeaseType}, payload)
		if err != nil {
			return
		}
		a, err := revocation.OpenLease(sealed, key)
		if err != nil {
			if !errors.Is(err, revocation.ErrWire) {
				t.Fatal(err)
			}
			return
		}
		again, err := revocation.SealLease(a, key)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := revocation.OpenLease(again, key); err != nil || back.Head != a.Head || back.Nonce != a.Nonce {
			t.Fatalf("%+v became %+v, %v", a, back, err)
		}
	})
}
