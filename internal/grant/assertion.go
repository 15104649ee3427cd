package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
	"github.com/wafer-auth/wafer/verify/jose"
)

// ClientAssertion is the only type of client assertion (RFC 7523 section 2.2).
const ClientAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// AssertionAlgs are the algorithms of client assertions. Those of FAPI 2.0 are the
// ones that do not begin with RS.
var AssertionAlgs = []jose.Algorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.Ed25519,
}

// fapiAlgs are those of the FAPI 2.0 Security Profile section 5.4.1.
var fapiAlgs = []jose.Algorithm{jose.PS256, jose.ES256, jose.EdDSA, jose.Ed25519}

// The bounds of a client assertion.
const (
	mostAssertion = 16 << 10
	mostJTI       = 256
	// assertionMost is how long before its end an assertion may be used: how long its
	// id has to be remembered.
	assertionMost = time.Hour
	// clocksApart is how far ahead of ours the clock of a client may be (FAPI 2.0
	// section 5.3.2.1: 10 s must be accepted, over 60 s must not), and endsLate how
	// far behind.
	clocksApart = 30 * time.Second
	endsLate    = 10 * time.Second
)

// message parses the assertion. Without one it is nil; ok is false for one that
// cannot be read.
func (c Credentials) message() (m *jose.Message, ok bool) {
	if c.Assertion == "" {
		return nil, c.AssertionType == ""
	}
	if c.AssertionType != ClientAssertion {
		return nil, false
	}
	m, err := jose.Parse(c.Assertion, jose.Limits{Token: mostAssertion})
	return m, err == nil
}

// subjectOf returns whom an assertion claims to be of. Nobody has vouched for it yet.
func subjectOf(m *jose.Message) string {
	if m == nil {
		return ""
	}
	a, err := readAssertion(m.UnverifiedPayload())
	if err != nil {
		return ""
	}
	return a.subject
}

// asserted checks a client assertion and uses it up (RFC 7523 section 3).
func (s *Service) asserted(ctx context.Context, c client.Client, m *jose.Message) error {
	if s.Peers == nil || s.Tickets == nil || m == nil || !mayAssert(c, m.Header) {
		return failed()
	}
	keys, err := s.Peers.Find(ctx, peerkeys.Source{JWKS: c.OAuth.JWKS, URI: c.OAuth.JWKSURI}, m.Header.KeyID, m.Header.Algorithm)
	if err != nil {
		return ofPeer(err)
	}
	payload := verifiedBy(m, keys)
	if payload == nil {
		return failed()
	}
	a, err := readAssertion(payload)
	if err != nil {
		return refuse(InvalidClient, "The assertion's claims cannot be read.")
	}
	if why := a.misfit(c, s.Issuer, s.Now()); why != "" {
		return refuse(InvalidClient, "The assertion "+why+".")
	}
	first, err := s.once(ctx, ticket.Assertion, a.expires.Add(endsLate), "client", c.ID, a.id)
	if err != nil {
		return err
	}
	if !first {
		return refuse(InvalidClient, "The assertion was used before.")
	}
	return nil
}

// once uses up an id, in a room of its own for whom it is of. It reports whether
// nobody did before. ends is when the id is refused for its age on every node.
func (s *Service) once(ctx context.Context, kind ticket.Kind, ends time.Time, of, whom, id string) (bool, error) {
	// The lengths of the parts are in the code: no two ids are one.
	key := s.Secrets.MAC("once", of, whom, id)
	first, err := s.Tickets.AddTicket(ctx, ticket.Ticket{Kind: kind, Key: key, ExpiresAt: ends.Add(time.Minute)}, revoke.Effects{})
	if err != nil {
		return false, fmt.Errorf("remember the id of a proof: %w", err)
	}
	return first, nil
}

// mayAssert compares the header of an assertion with the registration. Tokens of
// other kinds that a client signs are not assertions (RFC 8725 section 3.11).
func mayAssert(c client.Client, h jose.Header) bool {
	if !slices.Contains(AssertionAlgs, h.Algorithm) || c.Holds() == client.FAPI2 && !slices.Contains(fapiAlgs, h.Algorithm) {
		return false
	}
	want := c.OAuth.AuthAlg
	if want != "" && want != h.Algorithm && !(isEdwards(want) && isEdwards(h.Algorithm)) {
		return false
	}
	return slices.Contains([]string{"", "JWT", "jwt", "client-authentication+jwt"}, h.Type)
}

func isEdwards(a jose.Algorithm) bool { return a == jose.EdDSA || a == jose.Ed25519 }

func verifiedBy(m *jose.Message, keys []*jose.Key) []byte {
	for _, k := range keys {
		if payload, err := m.Verify(k); err == nil {
			return payload
		}
	}
	return nil
}

// assertion is the claims of a client assertion.
type assertion struct {
	issuer, subject, id        string
	clientID                   string // client_id: for whom an assertion grant was made
	audience                   []string
	inArray                    bool
	expires, notBefore, issued time.Time
}

var errClaims = errors.New("claims cannot be read")

func readAssertion(payload []byte) (a assertion, err error) {
	members, err := jose.Members(payload)
	if err != nil {
		return a, errClaims
	}
	for _, m := range members {
		switch m.Name {
		case "iss":
			a.issuer, err = jose.String(m.Value)
		case "sub":
			a.subject, err = jose.String(m.Value)
		case "jti":
			a.id, err = jose.String(m.Value)
		case "client_id":
			a.clientID, err = jose.String(m.Value)
		case "aud":
			a.inArray = len(m.Value) > 0 && m.Value[0] == '['
			a.audience, err = jose.StringOrArray(m.Value)
		case "exp":
			a.expires, err = jose.NumericDate(m.Value)
		case "nbf":
			a.notBefore, err = jose.NumericDate(m.Value)
		case "iat":
			a.issued, err = jose.NumericDate(m.Value)
		}
		if err != nil {
			return a, errClaims
		}
	}
	return a, nil
}

// misfit says what is wrong with an assertion that the client signed, "" for nothing.
func (a assertion) misfit(c client.Client, issuer string, now time.Time) string {
	switch {
	case a.issuer != c.ID || a.subject != c.ID:
		return "is not by and about the client"
	case len(a.audience) != 1 || a.audience[0] != issuer:
		// Another server that is given the address of our token endpoint could use what
		// it was sent here.
		return "is not for this issuer alone: aud is " + issuer
	case a.inArray && c.Holds() == client.FAPI2:
		return "has its audience in an array"
	case a.expires.IsZero():
		return "has no exp"
	case !now.Before(a.expires.Add(endsLate)):
		return "has expired"
	case a.expires.After(now.Add(assertionMost + clocksApart)):
		return "ends too late: an hour is the most"
	case a.notBefore.After(now.Add(clocksApart)) || a.issued.After(now.Add(clocksApart)):
		return "is not valid yet"
	case a.id == "" || len(a.id) > mostJTI:
		return "needs a jti of at most 256 bytes"
	}
	return ""
}
