package opaque_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

func TestIDsSortByAgeAndKeepTheirKind(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	old, young := opaque.ID(opaque.UserID, now), opaque.ID(opaque.UserID, now.Add(time.Millisecond))
	if old >= young {
		t.Errorf("%s does not sort before %s", old, young)
	}
	if !opaque.IsID(opaque.UserID, old) || opaque.IsID(opaque.SessionID, old) {
		t.Errorf("%s is of the wrong kind", old)
	}
	for _, bad := range []string{"", "usr_", old[:len(old)-1], old + "0", "usr_" + string(bytes.Repeat([]byte("z"), 26)), "USR_" + old[4:]} {
		if opaque.IsID(opaque.UserID, bad) {
			t.Errorf("%q is taken for an id", bad)
		}
	}
	seen := map[string]bool{}
	for range 10_000 {
		id := opaque.ID(opaque.TokenID, now)
		if seen[id] {
			t.Fatalf("%s was made twice", id)
		}
		seen[id] = true
	}
}

func TestSecretsAreLongAndDifferent(t *testing.T) {
	t.Parallel()
	a, b := opaque.Secret(), opaque.Secret()
	if len(a) != 43 || a == b {
		t.Errorf("secrets %q and %q", a, b)
	}
}

func root(t *testing.T, fill byte) *opaque.Root {
	t.Helper()
	r, err := opaque.NewRoot(bytes.Repeat([]byte{fill}, opaque.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealedBoxCannotBeMovedOrChanged(t *testing.T) {
	t.Parallel()
	k := root(t, 1).Derive("keys")
	box := k.Seal([]byte("secret"), "key/a")
	if plain, err := k.Open(box, "key/a"); err != nil || string(plain) != "secret" {
		t.Fatalf("opened %q, %v", plain, err)
	}
	bent := bytes.Clone(box)
	bent[len(bent)-1] ^= 1
	tries := map[string]func() ([]byte, error){
		"another row":        func() ([]byte, error) { return k.Open(box, "key/b") },
		"another purpose":    func() ([]byte, error) { return root(t, 1).Derive("totp").Open(box, "key/a") },
		"another master key": func() ([]byte, error) { return root(t, 2).Derive("keys").Open(box, "key/a") },
		"a flipped bit":      func() ([]byte, error) { return k.Open(bent, "key/a") },
		"a cut box":          func() ([]byte, error) { return k.Open(box[:5], "key/a") },
		"nothing":            func() ([]byte, error) { return k.Open(nil, "key/a") },
	}
	for name, open := range tries {
		if _, err := open(); !errors.Is(err, opaque.ErrSealed) {
			t.Errorf("%s: error is %v, want ErrSealed", name, err)
		}
	}
	if bytes.Equal(box, k.Seal([]byte("secret"), "key/a")) {
		t.Error("two boxes are the same: the nonce is not fresh")
	}
}

func TestMACKeepsPartsAndPurposesApart(t *testing.T) {
	t.Parallel()
	r := root(t, 1)
	k := r.Derive("a")
	if k.MAC("ab", "c").Equal(k.MAC("a", "bc")) || k.MAC("a").Equal(k.MAC("a", "")) {
		t.Error("parts run into each other")
	}
	if k.MAC("x").Equal(r.Derive("b").MAC("x")) {
		t.Error("two purposes give one code")
	}
	if !k.MAC("ab", "c").Equal(r.Derive("a").MAC("ab", "c")) {
		t.Error("the same key and parts give two codes")
	}
}

func TestMasterKeyOfWrongLengthIsRefused(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := opaque.NewRoot(make([]byte, n)); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
}
