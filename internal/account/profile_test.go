package account_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/fault"
)

func TestProfilesHoldClaimsOfTheirForm(t *testing.T) {
	t.Parallel()
	text := func(f func(*account.Profile) *string) func(string) account.Profile {
		return func(s string) (p account.Profile) {
			*f(&p) = s
			return p
		}
	}
	url := []string{"https://example.com/ada", "https://example.com/ada?size=200#top"}
	noURL := []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "http://example.com/", "/ada", "//example.com", "https://", "https://user@example.com/",
		`https://example.com\@evil.test/`, "https://example.com/ x", "https://example.com/ö", "https://example.com/" + strings.Repeat("a", 2000),
	}
	line, noLine := []string{"Ada", "Ada “the first”", strings.Repeat("a", 200)}, []string{"Ada\r\nroot", "a\x00", "\xff", strings.Repeat("a", 201)}
	for claim, tt := range map[string]struct {
		with    func(string) account.Profile
		ok, bad []string
	}{
		"given_name":         {text(func(p *account.Profile) *string { return &p.GivenName }), line, noLine},
		"family_name":        {text(func(p *account.Profile) *string { return &p.FamilyName }), line, noLine},
		"middle_name":        {text(func(p *account.Profile) *string { return &p.MiddleName }), line, noLine},
		"nickname":           {text(func(p *account.Profile) *string { return &p.Nickname }), line, noLine},
		"preferred_username": {text(func(p *account.Profile) *string { return &p.PreferredUsername }), line, noLine},
		"gender":             {text(func(p *account.Profile) *string { return &p.Gender }), line, noLine},
		"profile":            {text(func(p *account.Profile) *string { return &p.ProfileURL }), url, noURL},
		"picture":            {text(func(p *account.Profile) *string { return &p.Picture }), url, noURL},
		"website":            {text(func(p *account.Profile) *string { return &p.Website }), url, noURL},
		"birthdate": {
			text(func(p *account.Profile) *string { return &p.Birthdate }),
			[]string{"1815-12-10", "0000-02-29", "1815"}, []string{"1815-13-10", "1815-02-30", "10.12.1815", "15", "1815-12"},
		},
		"zoneinfo": {
			text(func(p *account.Profile) *string { return &p.Zoneinfo }),
			[]string{"Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+3"}, []string{"../../etc/passwd", "Europe/", "Europe Berlin", "/Europe", strings.Repeat("a", 65)},
		},
		"locale": {
			text(func(p *account.Profile) *string { return &p.Locale }),
			[]string{"en", "de-DE", "de_AT", "zh-Hant-TW"}, []string{"e", "en-", "en US", "-en", strings.Repeat("a", 9)},
		},
		"email": {
			text(func(p *account.Profile) *string { return &p.Email }),
			[]string{"ada@example.com", "ada.l+x@sub.example.com", "größe@example.com", "ada@localhost"},
			[]string{"ada", "@example.com", "ada@", "ada@x@y", "Ada <ada@example.com>", "ada@example.com\r\nBcc: x", "ada@example..com", "ada@.com", "a b@example.com", strings.Repeat("a", 65) + "@example.com"},
		},
		"phone_number": {
			text(func(p *account.Profile) *string { return &p.Phone }),
			[]string{"+49 30 123456", "+1 (604) 555-1234;ext=5678", "030-123456"}, []string{"call me", "+", "+49 30 123456;url=https://evil.test", strings.Repeat("1", 50)},
		},
		"address": {
			func(s string) account.Profile { return account.Profile{Address: json.RawMessage(s)} },
			[]string{`{}`, `{"formatted":"1 Road\nLondon","country":"GB"}`, `{"street_address":"1 Road\r\nFlat 2","locality":"London","region":"x","postal_code":"x"}`},
			[]string{
				`"1 Road"`, `null`, `{"street":"1 Road"}`, `{"country":1}`, `{"country":null}`, `{"country":"a","country":"b"}`, `{"country":"\u0000"}`, `{"Country":"GB"}`, `{`,
				`{"country":"` + strings.Repeat("a", 1001) + `"}`, `{"country":"x"` + strings.Repeat(" ", 4000) + `}`,
			},
		},
	} {
		for _, s := range tt.ok {
			if err := tt.with(s).Check(); err != nil {
				t.Errorf("%s %q: %v", claim, s, err)
			}
		}
		for _, s := range tt.bad {
			if err := tt.with(s).Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), claim) {
				t.Errorf("%s %q: got %v", claim, s, err)
			}
		}
	}
}

func TestNothingIsVerifiedThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, p := range []account.Profile{{}, {Email: "ada@example.com", EmailVerified: true}, {Phone: "+49 30 123456", PhoneVerified: true}} {
		if err := p.Check(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []account.Profile{{EmailVerified: true}, {PhoneVerified: true}} {
		if err := p.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
