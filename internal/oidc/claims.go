package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
)

// ofScope is which claims a scope asks for (OpenID Connect Core section 5.4).
var ofScope = map[string][]string{
	Profile: {
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
		"gender", "birthdate", "zoneinfo", "locale", "updated_at",
	},
	Email:   {"email", "email_verified"},
	Address: {"address"},
	Phone:   {"phone_number", "phone_number_verified"},
}

// ClaimNames lists every claim about a person that can be asked for, sorted.
func ClaimNames() []string {
	var all []string
	for _, names := range ofScope {
		all = append(all, names...)
	}
	slices.Sort(all)
	return all
}

// Claims is the claims parameter (section 5.5), as far as it is acted upon: the
// names that are asked for, and what acr and sub must be.
type Claims struct {
	IDToken  []string `json:"id_token,omitempty"`
	Userinfo []string `json:"userinfo,omitempty"`
	// ACR are the values of an essential acr; a sign-in that reaches none of them
	// fails. Sub is the value the subject must have.
	ACR []string `json:"acr,omitempty"`
	Sub string   `json:"sub,omitempty"`
}

// Scopes lists the identity scopes that the claims asked for by name belong to,
// sorted: whoever allows those claims allows as much.
func (c *Claims) Scopes() []string {
	if c == nil {
		return nil
	}
	var scopes []string
	for scope, names := range ofScope {
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(c.IDToken, n) || slices.Contains(c.Userinfo, n) }) {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes)
	return scopes
}

// maxClaims is how long a claims parameter may be.
const maxClaims = 4096

type claimAsk struct {
	Essential bool              `json:"essential"`
	Value     json.RawMessage   `json:"value"`
	Values    []json.RawMessage `json:"values"`
}

// ParseClaims reads a claims parameter. Unknown claims are ignored, as section 5.5
// wants; what is not an object of objects is refused.
func ParseClaims(text string) (*Claims, error) {
	if len(text) > maxClaims {
		return nil, errors.New("claims is too long")
	}
	var in struct {
		IDToken  map[string]*claimAsk `json:"id_token"`
		Userinfo map[string]*claimAsk `json:"userinfo"`
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, errors.New("claims is not a JSON object of the form that OpenID Connect Core section 5.5 gives")
	}
	out := &Claims{IDToken: known(in.IDToken), Userinfo: known(in.Userinfo)}
	for _, part := range []map[string]*claimAsk{in.IDToken, in.Userinfo} {
		sub, err := values(part["sub"])
		if err != nil {
			return nil, err
		}
		if len(sub) > 1 || len(sub) == 1 && out.Sub != "" && out.Sub != sub[0] {
			return nil, errors.New("claims asks for more than one sub")
		}
		if len(sub) == 1 {
			out.Sub = sub[0]
		}
	}
	if a := in.IDToken["acr"]; a != nil && a.Essential {
		var err error
		if out.ACR, err = values(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func known(asked map[string]*claimAsk) []string {
	var names []string
	for _, list := range ofScope {
		for _, n := range list {
			if _, ok := asked[n]; ok {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	return names
}

func values(a *claimAsk) ([]string, error) {
	if a == nil {
		return nil, nil
	}
	all := a.Values
	if len(a.Value) > 0 {
		all = append([]json.RawMessage{a.Value}, all...)
	}
	var out []string
	for _, raw := range all {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, errors.New("claims wants a value that is no text")
		}
		out = append(out, s)
	}
	return out, nil
}

// About returns the claims about a person that scopes and names ask for. What is
// not known of the person is left out. sub is not among them.
func About(u account.User, scopes, names []string) map[string]any {
	wanted := map[string]bool{}
	for _, s := range scopes {
		for _, n := range ofScope[s] {
			wanted[n] = true
		}
	}
	for _, n := range names {
		wanted[n] = true
	}
	out := map[string]any{}
	for name, value := range told(u) {
		if wanted[name] {
			out[name] = value
		}
	}
	return out
}

// told is everything that may be told of a person.
func told(u account.User) map[string]any {
	p := u.Profile
	out := map[string]any{}
	for name, value := range map[string]string{
		"name": u.Name, "given_name": p.GivenName, "family_name": p.FamilyName, "middle_name": p.MiddleName, "nickname": p.Nickname,
		"preferred_username": p.PreferredUsername, "profile": p.ProfileURL, "picture": p.Picture, "website": p.Website, "gender": p.Gender,
		"birthdate": p.Birthdate, "zoneinfo": p.Zoneinfo, "locale": p.Locale, "email": p.Email, "phone_number": p.Phone,
	} {
		if value != "" {
			out[name] = value
		}
	}
	if p.Email != "" {
		out["email_verified"] = p.EmailVerified
	}
	if p.Phone != "" {
		out["phone_number_verified"] = p.PhoneVerified
	}
	if len(p.Address) > 0 {
		out["address"] = p.Address
	}
	if !u.UpdatedAt.IsZero() {
		out["updated_at"] = u.UpdatedAt.Unix()
	}
	return out
}

// IDToken is what an ID token says (section 2).
type IDToken struct {
	Issuer, Subject, Audience string
	IssuedAt, ExpiresAt       time.Time
	AuthTime                  time.Time // zero: left out
	Nonce, ACR, SessionID     string
	AMR                       []string
	AccessTokenHash           string         // at_hash
	More                      map[string]any // claims about the person that the claims parameter asked for
}

// Hint is whom an ID token of ours was about, and whom it was for.
type Hint struct {
	Subject   string    // the user's id
	SessionID string    // the sid
	ClientID  string    // the aud
	IssuedAt  time.Time // the iat
}

// JSON returns the claims as JSON.
func (t IDToken) JSON() ([]byte, error) {
	out := map[string]any{}
	for k, v := range t.More {
		out[k] = v
	}
	out["iss"], out["sub"], out["aud"] = t.Issuer, t.Subject, t.Audience
	out["iat"], out["exp"] = t.IssuedAt.Unix(), t.ExpiresAt.Unix()
	if !t.AuthTime.IsZero() {
		out["auth_time"] = t.AuthTime.Unix()
	}
	for name, value := range map[string]string{"nonce": t.Nonce, "acr": t.ACR, "sid": t.SessionID, "at_hash": t.AccessTokenHash} {
		if value != "" {
			out[name] = value
		}
	}
	if len(t.AMR) > 0 {
		out["amr"] = t.AMR
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode ID token: %w", err)
	}
	return b, nil
}
