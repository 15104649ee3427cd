package limit_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/limit"
)

// LOGIN-005: every spelling of one login is one counter and one account.
func TestAliasesHaveOneCanonicalForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want    string
		aliases []string
	}{
		{"alice", []string{"alice", "ALICE", "Alice", " alice", "alice ", "\talice\r\n", "\u00a0alice\u3000", "\uff41lice",
			"\uff21\uff2c\uff29\uff23\uff25", "\U0001d4b6lice", "\u24d0lice"}},
		{"alice@example.test", []string{"alice@example.test", "Alice@EXAMPLE.test", "alice\uff20example.test", "ALICE@Example.Test "}},
		{"kelvin", []string{"\u212aelvin", "Kelvin"}},
		{"strasse", []string{"stra\u00dfe", "STRASSE", "STRA\u1e9eE"}},
		{"\u03bd\u03b9\u03ba\u03bf\u03c3", []string{"\u039d\u0399\u039a\u039f\u03a3", "\u03bd\u03b9\u03ba\u03bf\u03c2"}},
		{"caf\u00e9", []string{"cafe\u0301", "CAF\u00c9", "CAFE\u0301"}},
		{"office", []string{"o\ufb03ce", "o\ufb00ice"}},
		{"i\u0307zmir", []string{"\u0130zmir", "i\u0307zmir"}},
		{"ada lovelace", []string{"Ada\u00a0Lovelace", "ada lovelace"}},
		{"\u00e5", []string{"\u212b", "A\u030a"}},
	} {
		for _, alias := range tt.aliases {
			got, err := limit.Canonical(alias)
			if err != nil || got != tt.want {
				t.Errorf("%q: %q, %v; want %q", alias, got, err, tt.want)
			}
		}
	}
}

func TestDifferentLoginsStayApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, login := range []string{
		"alice", "\u0430lice", // Cyrillic a
		"a.lice", "alice+x", "alice@example.test", "alice@example.org", "alice@example.test.",
		"al\u0131ce", // dotless i is a letter of its own
		"alic\u00e9", "al ice", "-alice", "alice'--",
	} {
		got, err := limit.Canonical(login)
		if err != nil {
			t.Errorf("%q: %v", login, err)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q are both %q", login, other, got)
		}
		seen[got] = login
	}
}

// LOGIN-005, LOGIN-012, with a good login before and after each.
func TestWhatIsNoLoginIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, login string
		want        error
	}{
		{"empty", "", limit.ErrEmpty},
		{"space only", " \t\u3000", limit.ErrEmpty},
		{"NUL at the end", "alice\x00", limit.ErrText},
		{"NUL inside", "ali\x00ce", limit.ErrText},
		{"line end inside", "alice\r\nSet-Cookie: a=b", limit.ErrText},
		{"escape", "alice\x1b[2J", limit.ErrText},
		{"C1 control", "alice\u0085x", limit.ErrText},
		{"not UTF-8", "alice\xff", limit.ErrText},
		{"overlong UTF-8", "\xc1\x81lice", limit.ErrText},
		{"surrogate", "\xed\xa0\x80alice", limit.ErrText},
		{"replacement character", "alice\ufffd", limit.ErrText},
		{"zero-width space", "al\u200bice", limit.ErrText},
		{"zero-width joiner", "al\u200dice", limit.ErrText},
		{"byte order mark", "\ufeffalice", limit.ErrText},
		{"soft hyphen", "al\u00adice", limit.ErrText},
		{"right to left override", "alice\u202eecila", limit.ErrText},
		{"combining grapheme joiner", "al\u034fice", limit.ErrText},
		{"variation selector", "alice\ufe0f", limit.ErrText},
		{"Hangul filler", "alice\u3164", limit.ErrText},
		{"half-width Hangul filler", "alice\uffa0", limit.ErrText},
		{"tag character", "alice\U000e0061", limit.ErrText},
		{"private use", "alice\ue000", limit.ErrText},
		{"line separator", "al\u2028ice", limit.ErrText},
		{"unassigned", "alice\U000e0fff", limit.ErrText},
		{"255 bytes", strings.Repeat("a", 255), limit.ErrTooLong},
		{"64 KiB", strings.Repeat("a", 64<<10), limit.ErrTooLong},
		{"grows past the limit", strings.Repeat("\ufdfa", 80), limit.ErrTooLong},
	} {
		good := func() {
			if got, err := limit.Canonical("Alice"); got != "alice" || err != nil {
				t.Fatalf("good login: %q, %v", got, err)
			}
		}
		good()
		if got, err := limit.Canonical(tt.login); !errors.Is(err, tt.want) || got != "" {
			t.Errorf("%s: %q, %v; want %v", tt.name, got, err, tt.want)
		}
		good()
	}
	if _, err := limit.Canonical(strings.Repeat("a", limit.MaxLogin)); err != nil {
		t.Errorf("%d bytes: %v", limit.MaxLogin, err)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"Alice", "\u0130", "\u1e9e\u0301", "\u00a8a", "\u0345\u0399", "a\u0301\u0323", "\ufdfa", "\u1fb7", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, login string) {
		got, err := limit.Canonical(login)
		if err != nil {
			return
		}
		if got == "" || len(got) > limit.MaxLogin || !utf8.ValidString(got) || strings.TrimSpace(got) != got {
			t.Fatalf("%q became %q", login, got)
		}
		for _, same := range []string{got, " " + got + "\t"} {
			if len(same) > limit.MaxLogin {
				continue
			}
			if again, err := limit.Canonical(same); again != got || err != nil {
				t.Fatalf("%q became %q, and that %q, %v", login, got, again, err)
			}
		}
	})
}
