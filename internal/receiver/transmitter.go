package receiver

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
)

// By says how a transmitter names our users.
type By string

// The ways, each with the subject identifiers (RFC 9493) that it takes.
const (
	BySub    By = "sub"     // our own ids: opaque, or iss_sub with our issuer
	ByEmail  By = "email"   // email, which is a login
	ByIssSub By = "iss_sub" // iss_sub with the transmitter's issuer, looked up in Subjects.Users
)

// Subjects says which users a transmitter may name, and how.
type Subjects struct {
	By      By                `json:"by"`
	Domains []string          `json:"domains,omitempty"` // with email: only logins of these; none: of any
	Users   map[string]string `json:"users,omitempty"`   // with iss_sub: the transmitter's sub -> our login
}

// Transmitter is a server that is trusted to end sessions.
type Transmitter struct {
	ID       string          `json:"id"`
	Issuer   string          `json:"issuer"`
	JWKSURI  string          `json:"jwks_uri,omitempty"`
	JWKS     json.RawMessage `json:"jwks,omitempty"` // instead of JWKSURI
	Audience string          `json:"audience,omitempty"`
	Subjects Subjects        `json:"subjects"`
	Secret   opaque.Digest   `json:"-"` // SecretCode of what it sends as a bearer token
	Code     []byte          `json:"secret"`
	Disabled bool            `json:"disabled,omitempty"`
}

// Setting is the name of the setting that holds all transmitters.
const Setting = "transmitters"

// SecretCode is what is stored of a transmitter's secret.
func SecretCode(k *opaque.Key, id, secret string) opaque.Digest {
	return k.MAC("transmitter", id, secret)
}

// Encode writes transmitters, sorted by id, as they stand in the setting. None
// are "".
func Encode(all []Transmitter) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Transmitter) int { return strings.Compare(a.ID, b.ID) })
	for i := range all {
		all[i].Code = all[i].Secret[:]
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encode transmitters: %w", err)
	}
	return string(text), nil
}

// Decode reads what Encode wrote.
func Decode(text string) ([]Transmitter, error) {
	if text == "" {
		return nil, nil
	}
	var all []Transmitter
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("decode transmitters: %w", err)
	}
	for i := range all {
		if copy(all[i].Secret[:], all[i].Code) != len(all[i].Secret) {
			return nil, fmt.Errorf("decode transmitters: secret of %s has %d bytes", all[i].ID, len(all[i].Code))
		}
		all[i].Code = nil
	}
	return all, nil
}

// Check returns nil, or a fault naming the first thing wrong with the transmitter.
func (t Transmitter) Check() error {
	if len(t.ID) == 0 || len(t.ID) > 40 || strings.Trim(t.ID, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return t.invalid("the id is 1 to 40 lower-case letters, digits, '-' and '_'")
	}
	if err := trustworthy(t.Issuer); err != nil {
		return t.invalid("issuer " + err.Error())
	}
	if (t.JWKSURI == "") == (len(t.JWKS) == 0) {
		return t.invalid("needs exactly one of jwks_uri and jwks_file")
	}
	if t.JWKSURI != "" {
		if err := trustworthy(t.JWKSURI); err != nil {
			return t.invalid("jwks_uri " + err.Error())
		}
	}
	if len(t.JWKS) > 0 {
		keys, err := jose.ParseKeySet(t.JWKS)
		if err != nil || len(keys) == 0 {
			return t.invalid("jwks_file holds no public key that names its algorithm")
		}
	}
	if len(t.Audience) > 500 {
		return t.invalid("audience is longer than 500 bytes")
	}
	if t.Secret.IsZero() {
		return t.invalid("needs secret or secret_file: what it sends in the Authorization header")
	}
	return t.checkSubjects()
}

func (t Transmitter) checkSubjects() error {
	s := t.Subjects
	switch s.By {
	case BySub, ByEmail, ByIssSub:
	default:
		return t.invalid("subjects.by must be sub, email or iss_sub")
	}
	if (len(s.Users) > 0) != (s.By == ByIssSub) {
		return t.invalid("subjects.users goes with by: iss_sub, and has to be there then")
	}
	if len(s.Domains) > 0 && s.By != ByEmail {
		return t.invalid("subjects.domains goes with by: email only")
	}
	for _, d := range s.Domains {
		if canonical, err := limit.Canonical("x@" + d); err != nil || canonical != "x@"+d || strings.Contains(d, "@") {
			return t.invalid("subjects.domains: " + d + " is not a domain in lower case")
		}
	}
	for sub, login := range s.Users {
		if _, err := limit.Canonical(login); err != nil || sub == "" || len(sub) > 255 {
			return t.invalid("subjects.users: an empty sub, or a login that is none")
		}
	}
	return nil
}

func (t Transmitter) invalid(what string) error {
	return fault.New(fault.Invalid, "transmitter "+t.ID+": "+what+".")
}

// trustworthy refuses a URL that somebody on the way could answer for.
func trustworthy(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(raw) > 500:
		return fmt.Errorf("must be an absolute URL without user and fragment")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("must be https, or http on loopback")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
