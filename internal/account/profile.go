package account

import "encoding/json"

// Profile is what applications may be told of a person, in the standard claims of
// OpenID Connect Core section 5.1. Name is User.Name; an empty member is not told.
type Profile struct {
	GivenName         string          `json:"given_name,omitempty"`
	FamilyName        string          `json:"family_name,omitempty"`
	MiddleName        string          `json:"middle_name,omitempty"`
	Nickname          string          `json:"nickname,omitempty"`
	PreferredUsername string          `json:"preferred_username,omitempty"`
	ProfileURL        string          `json:"profile,omitempty"`
	Picture           string          `json:"picture,omitempty"`
	Website           string          `json:"website,omitempty"`
	Gender            string          `json:"gender,omitempty"`
	Birthdate         string          `json:"birthdate,omitempty"`
	Zoneinfo          string          `json:"zoneinfo,omitempty"`
	Locale            string          `json:"locale,omitempty"`
	Email             string          `json:"email,omitempty"`
	EmailVerified     bool            `json:"email_verified,omitempty"`
	Phone             string          `json:"phone_number,omitempty"`
	PhoneVerified     bool            `json:"phone_number_verified,omitempty"`
	Address           json.RawMessage `json:"address,omitempty"` // a JSON object of section 5.1.1
}

// Clone returns a copy that shares nothing with p.
func (p Profile) Clone() Profile {
	p.Address = append(json.RawMessage(nil), p.Address...)
	if len(p.Address) == 0 {
		p.Address = nil
	}
	return p
}
