package password_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

func TestPolicyAcceptsWhatPeopleShouldUse(t *testing.T) {
	t.Parallel()
	context := []string{"ada.lovelace@example.com", "Ada Lovelace", "https://login.wafer.example", "Wafer"}
	for _, p := range []string{
		"correct-horse-battery-staple",
		"orange tricycle on the roof",
		"onlylowercaselettershere", // no kinds of characters are asked for
		"839201748392017",          // fifteen random digits are 50 bits
		"\u00e9l\u00e9phant rose sous la pluie",
		"\u6b63\u78ba\u306a\u99ac\u306e\u96fb\u6c60\u3068\u30db\u30c1\u30ad\u30b9\u306e\u91dd\u3067\u3059", // sixteen characters
		"Tr0ub4dor&3 and then some",
		"lovelace wrote notes on the engine", // a context word inside a long one
		"canada is a big country",
		strings.Repeat("forty-two geese ", 1) + strings.Repeat("z9Q-", 12),
		"my password is written on a note",
		"  spaces at both ends  ",
		"nul\x00inside the password",
	} {
		if err := (password.Policy{}).Check(p, context...); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	if err := (password.Policy{}).Check(strings.Repeat("aZ3 kQ9-", 8)[:63] + "x"); err != nil {
		t.Errorf("64 characters: %v", err)
	}
	long := passphrase(password.MaxBytes)
	if err := (password.Policy{}).Check(long); err != nil {
		t.Errorf("%d bytes: %v", len(long), err)
	}
}

// passphrase is n bytes that no rule about repetition catches.
func passphrase(n int) string {
	var b strings.Builder
	for x := uint32(1); b.Len() < n; x = x*1664525 + 1013904223 {
		b.WriteByte('a' + byte(x>>24)%26)
	}
	return b.String()
}

// LOGIN-015, with a good password before and after.
func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	context := []string{"ada.lovelace@example.com", "Ada Lovelace", "https://login.wafer.example"}
	for _, tt := range []struct {
		name, password string
		want           error
	}{
		{"empty", "", password.ErrEmpty},
		{"fourteen characters", "kV9-qzt 4-pyeR", password.ErrTooShort},
		{"fourteen characters of three bytes", strings.Repeat("\u99ac\u96fb", 7), password.ErrTooShort},
		{"over the cap", passphrase(password.MaxBytes + 1), password.ErrTooLong},
		{"not text", "kV9-qzt 4-pyeR-\xff\xfe", password.ErrNotText},
		{"common and short", "letmein1", password.ErrTooShort},
		{"listed", "1qaz2wsx3edc4rfv", password.ErrCommon},
		{"listed in upper case", "THISISMYPASSWORD", password.ErrCommon},
		{"listed with digits for letters", "th1s1smyp4$$w0rd", password.ErrCommon},
		{"twice the same common word", "passwordpassword", password.ErrCommon},
		{"common word and a sequence", "password123456789", password.ErrCommon},
		{"common word and a year", "Motherfucker-2024!", password.ErrCommon},
		{"two of the most common", "monkey-dragon-1999", password.ErrCommon},
		{"keyboard rows", "qwertyuiopasdfghjkl", password.ErrCommon},
		{"keyboard backwards", "lkjhgfdsapoiuytrewq", password.ErrCommon},
		{"alphabet", "abcdefghijklmnopqr", password.ErrCommon},
		{"one character", "aaaaaaaaaaaaaaaaaaaa", password.ErrCommon},
		{"one character of four bytes", strings.Repeat("\U0001f510", 16), password.ErrCommon},
		{"a group of four", "x9!Qx9!Qx9!Qx9!Q", password.ErrCommon},
		{"the longest repetition", strings.Repeat("sunshine", 128), password.ErrCommon},
		{"the login", "ada.lovelace@example.com", password.ErrContext},
		{"the login in upper case", "ADA.LOVELACE@EXAMPLE.COM", password.ErrContext},
		{"login and year", "ada-lovelace-1815", password.ErrContext},
		{"login with digits for letters", "4d4l0v3l4c3-1815", password.ErrContext},
		{"service and common word", "wafer-password-1!", password.ErrContext},
		{"the issuer", "https://login.wafer.example", password.ErrContext},
		{"seven own characters", "lovelaceqzpyekv", password.ErrContext},
	} {
		good := func() {
			if err := (password.Policy{}).Check("orange tricycle on the roof", context...); err != nil {
				t.Fatalf("good password: %v", err)
			}
		}
		good()
		err := (password.Policy{}).Check(tt.password, context...)
		var refusal *password.Refusal
		if !errors.Is(err, tt.want) || !errors.As(err, &refusal) || refusal.Sentence == "" {
			t.Errorf("%s: %v, want a Refusal for %v with a sentence", tt.name, err, tt.want)
		} else if tt.password != "" && strings.Contains(err.Error()+refusal.Sentence, tt.password) {
			t.Errorf("%s: the refusal repeats the password", tt.name)
		}
		good()
	}
}

func TestPolicyLengthIsSetButNeverBelowEight(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		min      int
		password string
		want     error
	}{
		{0, "kV9-qzt 4-pyeR", password.ErrTooShort},
		{0, "kV9-qzt 4-pyeRw", nil},
		{password.MinLengthWithMFA, "kV9-qzt", password.ErrTooShort},
		{password.MinLengthWithMFA, "kV9-qzt ", nil},
		{1, "kV9-qzt", password.ErrTooShort},
		{20, "kV9-qzt 4-pyeRw", password.ErrTooShort},
		{password.MinLengthWithMFA, "password", password.ErrCommon},
	} {
		if err := (password.Policy{MinLength: tt.min}).Check(tt.password); !errors.Is(err, tt.want) {
			t.Errorf("at least %d: %q: %v, want %v", tt.min, tt.password, err, tt.want)
		}
	}
}

// ASVS 6.2.4: at least the 3,000 most common that fit the length.
func TestEveryListedPasswordIsRefused(t *testing.T) {
	t.Parallel()
	common, top := password.CommonList()
	entries := func(list string) []string {
		return slices.DeleteFunc(strings.Split(strings.TrimSuffix(list, "\n"), "\n"), func(s string) bool { return s[0] == '#' })
	}
	list := entries(common)
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Fatal("list is not in byte order or has an entry twice")
	}
	long := 0
	for _, p := range list {
		if !password.Listed(p) {
			t.Fatalf("%q is on the list but not found", p)
		}
		if len(p) >= password.MinLengthWithMFA {
			long++
			for _, spelled := range []string{p, strings.ToUpper(p)} {
				if err := (password.Policy{MinLength: 8}).Check(spelled); !errors.Is(err, password.ErrCommon) {
					t.Errorf("%q: %v, want ErrCommon", spelled, err)
				}
			}
		}
		if strings.Contains(p, "\x00") || len(p) > 40 {
			t.Errorf("%q cannot be matched", p)
		}
	}
	if len(list) < 5000 || long < 3000 {
		t.Errorf("%d entries, %d of eight characters or more; want 5,000 and 3,000", len(list), long)
	}
	for _, p := range entries(top) {
		if !password.Listed(p) {
			t.Errorf("%q is a most common one but not common", p)
		}
	}
	for _, p := range []string{"", "\n", "#", "password\n", "123456\npassword", "passwordp", "assword", "zzzzzzzzzzzzzzzzzzzz"} {
		if password.Listed(p) {
			t.Errorf("%q is found but not on the list", p)
		}
	}
}

func FuzzPolicyCheck(f *testing.F) {
	f.Add("orange tricycle on the roof", "ada@example.com")
	f.Add("\u0130\u0130\u0130\u0130 \u212a password", "\xff\xfe")
	f.Add(strings.Repeat("aaab", 256), "a")
	f.Fuzz(func(t *testing.T, p, context string) {
		err := (password.Policy{}).Check(p, context)
		var refusal *password.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("%q: %v is not a Refusal", p, err)
		}
		if err == nil && (len(p) < password.MinLengthAlone || len(p) > password.MaxBytes) {
			t.Fatalf("%q was accepted", p)
		}
	})
}
