package revocation_test

import (
	"testing"

	"github.com/wafer-auth/wafer/verify/revocation"
)

// Vectors: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF"
// (2012), appendix A, and the table of its reference code: key 00..0f, input 00, 01, 02, ...
func TestKeyIsSipHash24(t *testing.T) {
	t.Parallel()
	var secret revocation.Secret
	for i := range secret {
		secret[i] = byte(i)
	}
	input := make([]byte, 64)
	for i := range input {
		input[i] = byte(i)
	}
	for length, want := range map[int]uint64{
		1: 0x74f839c593dc67fd, 2: 0x0d6c8009d9a94f5a, 3: 0x85676696d7fb7e2d, 7: 0xab0200f58b01d137,
		8: 0x93f5f5799a932462, 9: 0x9e0082df0ba9e4b0, 15: 0xa129ca6149be45e5, 16: 0x3f2acc7f57c29bdb, 63: 0x958a324ceb064572,
	} {
		if got := secret.Key(revocation.Kind(input[0]), string(input[1:length])); got != want {
			t.Errorf("%d bytes: got %016x, want %016x", length, got, want)
		}
	}
}

func TestKeysOfDifferentKindsDiffer(t *testing.T) {
	t.Parallel()
	secret := revocation.Secret{1}
	if secret.Key(revocation.User, "x") == secret.Key(revocation.Client, "x") {
		t.Error("a user and a client of one name share a key")
	}
	if secret.Key(revocation.User, "x") == (revocation.Secret{2}).Key(revocation.User, "x") {
		t.Error("two issuers share a key")
	}
	if _, err := revocation.ParseSecret(make([]byte, 15)); err == nil {
		t.Error("a short secret is taken")
	}
}
