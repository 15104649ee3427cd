package account

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
)

// The forms of some claims, as far as they can be told without a register.
var (
	localeForm   = regexp.MustCompile(`^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,5}$`)       // BCP 47
	zoneinfoForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}$`) // a name of the IANA database
	phoneForm    = regexp.MustCompile(`^\+?[0-9][0-9 ().-]{1,30}(;ext=[0-9]{1,10})?$`)    // E.164, or near to it
)

// addressParts are the members of OpenID Connect Core section 5.1.1.
var addressParts = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}

// Check returns nil, or a fault naming the first thing wrong with the profile.
func (p Profile) Check() error {
	for _, f := range []struct{ claim, text string }{
		{"given_name", p.GivenName}, {"family_name", p.FamilyName}, {"middle_name", p.MiddleName}, {"nickname", p.Nickname},
		{"preferred_username", p.PreferredUsername}, {"gender", p.Gender}, {"birthdate", p.Birthdate}, {"zoneinfo", p.Zoneinfo},
		{"locale", p.Locale}, {"phone_number", p.Phone},
	} {
		if len(f.text) > 200 || !isLine(f.text) {
			return wrong(f.claim, "is longer than 200 bytes, or holds control characters")
		}
	}
	for _, f := range []struct{ claim, uri string }{{"profile", p.ProfileURL}, {"picture", p.Picture}, {"website", p.Website}} {
		if f.uri != "" && !isPage(f.uri) {
			return wrong(f.claim, "is not a https URL of at most 2000 bytes, without user")
		}
	}
	switch {
	case p.Email != "" && !isEmail(p.Email):
		return wrong("email", "is not an address like ada@example.com")
	case p.EmailVerified && p.Email == "":
		return wrong("email_verified", "needs email")
	case p.Phone != "" && !phoneForm.MatchString(p.Phone):
		return wrong("phone_number", "is not a number like +49 30 123456")
	case p.PhoneVerified && p.Phone == "":
		return wrong("phone_number_verified", "needs phone_number")
	case p.Birthdate != "" && !isBirthdate(p.Birthdate):
		return wrong("birthdate", "is not a date like 1815-12-10, 0000-12-10 or 1815")
	case p.Zoneinfo != "" && (len(p.Zoneinfo) > 64 || !zoneinfoForm.MatchString(p.Zoneinfo)):
		return wrong("zoneinfo", "is not a time zone like Europe/Berlin")
	case p.Locale != "" && !localeForm.MatchString(p.Locale):
		return wrong("locale", "is not a language like en or de-DE")
	}
	return p.checkAddress()
}

func (p Profile) checkAddress() error {
	if len(p.Address) == 0 {
		return nil
	}
	members, err := jose.Members(p.Address)
	if err != nil || len(p.Address) > 4000 {
		return wrong("address", "is not a JSON object of at most 4000 bytes")
	}
	for _, m := range members {
		if !slices.Contains(addressParts, m.Name) {
			return wrong("address", "holds something else than "+strings.Join(addressParts, ", "))
		}
		var text string
		if json.Unmarshal(m.Value, &text) != nil || m.Value[0] != '"' || len(text) > 1000 || !isLine(strings.NewReplacer("\r\n", "", "\n", "").Replace(text)) {
			return wrong("address."+m.Name, "is not a text of at most 1000 bytes")
		}
	}
	return nil
}

func wrong(claim, what string) error {
	return fault.New(fault.Invalid, "The profile's "+claim+" "+what+".")
}

// isLine reports whether a text is one line of UTF-8.
func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// isPage is about addresses that applications show and lead to: javascript: or data:
// would run with their rights.
func isPage(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 2000 || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return false
	}
	return u.Scheme == "https" && u.Hostname() != "" && u.User == nil
}

// isEmail looks at the form alone; letters of any script may be in an address (RFC
// 6531).
func isEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > 64 || len(s) > 254 || !isLine(s) || strings.ContainsAny(s, " <>()[],;:\\\"") {
		return false
	}
	return !strings.Contains(domain, "@") && !slices.Contains(strings.Split(domain, "."), "")
}

// isBirthdate takes the year 0000 for one that is not told (OpenID Connect Core
// section 5.1).
func isBirthdate(s string) bool {
	if _, err := time.Parse("2006", s); err == nil {
		return true
	}
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
