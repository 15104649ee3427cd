package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// fact is one thing a credential says, as it stands there and in plain words.
type fact struct{ Name, Value, Words string }

// decoded is a token taken apart. Nothing of it is checked: that is the business
// of the API, which has the keys.
type decoded struct {
	Algorithm, Type, KeyID string
	Size                   [3]int // of header, payload and signature, in bytes
	Facts                  []fact
	Left                   string // how long until it expires, "" when it has
	Trouble                string
}

// order is the order in which claims are read best.
var order = []string{"sub", "aud", "scope", "exp", "iat", "sid", "rsn", "auth_time", "amr", "acr", "jti", "client_id", "iss"}

func decode(token string, now time.Time) *decoded {
	if jose.IsEncrypted(token) {
		return &decoded{Trouble: "The token is encrypted. Only the API can open it."}
	}
	m, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		return &decoded{Trouble: "The token is opaque: it says nothing by itself, and the API asks Wafer about it."}
	}
	members, err := jose.Members(m.UnverifiedPayload())
	if err != nil {
		return &decoded{Trouble: "The token holds no readable claims."}
	}
	out := &decoded{Algorithm: string(m.Header.Algorithm), Type: m.Header.Type, KeyID: m.Header.KeyID}
	for i, part := range strings.Split(token, ".") {
		out.Size[i] = len(part)
	}
	for _, one := range members {
		out.Facts = append(out.Facts, explain(one, now))
		if at, err := jose.NumericDate(one.Value); one.Name == "exp" && err == nil && now.Before(at) {
			out.Left = span(at.Sub(now))
		}
	}
	slices.SortStableFunc(out.Facts, func(a, b fact) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
	return out
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// explain says in plain words what a claim means.
func explain(m jose.Member, now time.Time) fact {
	f := fact{Name: m.Name, Value: plain(m.Value)}
	at, timeErr := jose.NumericDate(m.Value)
	isTime := timeErr == nil
	switch {
	case m.Name == "exp" && isTime:
		f.Words = until(at, now)
	case m.Name == "iat" && isTime:
		f.Words = "made " + ago(at, now)
	case m.Name == "auth_time" && isTime:
		f.Words = "the person proved who they are " + ago(at, now)
	default:
		f.Words = meanings[m.Name]
	}
	if f.Words == "" {
		f.Words = "a claim of this API's own"
	}
	return f
}

var meanings = map[string]string{
	"sub":       "who: an id, never a name or an address",
	"aud":       "the one API that takes it",
	"scope":     "what it allows there",
	"sid":       "the session it hangs from; it ends with it",
	"rsn":       "where the revocation log stood when it was made; what is revoked later counts",
	"amr":       "how: pwd is a password",
	"acr":       "how sure Wafer is of the person",
	"jti":       "this one token, to revoke it alone",
	"client_id": "the application that asked for it",
	"iss":       "who made and signed it",
	"cnf":       "the key that must come with it",
	"grant_id":  "the chain of refresh tokens it comes from",
}

// plain writes a claim's value: text without quotes, anything else as JSON.
func plain(raw []byte) string {
	if s, err := jose.String(raw); err == nil {
		return s
	}
	if list, err := jose.StringOrArray(raw); err == nil {
		return strings.Join(list, " ")
	}
	return string(raw)
}

// expired reports whether a token says of itself that its time is over.
func expired(token string, now time.Time) bool {
	m, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		return false
	}
	members, err := jose.Members(m.UnverifiedPayload())
	if err != nil {
		return false
	}
	for _, one := range members {
		if one.Name == "exp" {
			at, err := jose.NumericDate(one.Value)
			return err == nil && !now.Before(at)
		}
	}
	return false
}

// facts says what Wafer knows of the cookie's session, in the words of a token.
func (p *person) facts(now time.Time) []fact {
	return []fact{
		{"sub", p.User, meanings["sub"]},
		{"login", p.Login, "stands at Wafer only, in no credential"},
		{"exp", p.ExpiresAt.UTC().Format(time.RFC3339), until(p.ExpiresAt, now)},
		{"sid", p.ID, "this session; the JWT of the swap carries the same"},
		{"auth_time", p.AuthTime.UTC().Format(time.RFC3339), "the person proved who they are " + ago(p.AuthTime, now)},
		{"amr", strings.Join(p.AMR, " "), meanings["amr"]},
	}
}

func until(at, now time.Time) string {
	if !now.Before(at) {
		return "expired " + ago(at, now)
	}
	return "expires in " + span(at.Sub(now))
}

func ago(at, now time.Time) string {
	d := now.Sub(at)
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 60*60:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 24*60*60:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
}

// millis writes a short duration.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 0.1:
		return "under 0.1 ms"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}
