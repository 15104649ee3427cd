package client

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/verify/jose"
)

// checkOAuth checks everything in OAuth that checkProof and checkPlaces have not.
func (c Client) checkOAuth() error {
	for _, rule := range []func() error{c.checkKeys, c.checkAlgorithms, c.checkFrontchannel, c.checkAsking, c.checkAddresses, c.checkAssertions, c.checkProfile} {
		if err := rule(); err != nil {
			return err
		}
	}
	return nil
}

func (c Client) checkAlgorithms() error {
	o := c.OAuth
	if o.RequestAlg != "" && !slices.Contains(asymmetric, o.RequestAlg) {
		return invalid(c.ID, "request_object_signing_alg "+string(o.RequestAlg)+" is not one of "+joined(asymmetric))
	}
	for _, f := range []struct {
		member string
		alg    jose.Algorithm
	}{
		{"id_token_signed_response_alg", o.IDTokenAlg}, {"userinfo_signed_response_alg", o.UserinfoAlg},
		{"introspection_signed_response_alg", o.IntrospectionAlg},
	} {
		if f.alg != "" && !slices.Contains(ResponseAlgs, f.alg) {
			return invalid(c.ID, f.member+" "+string(f.alg)+" is not one of "+joined(ResponseAlgs))
		}
	}
	return nil
}

// checkFrontchannel wants a page of the client's own: the address is loaded into a
// frame of ours (OpenID Connect Front-Channel Logout 1.0 section 2).
func (c Client) checkFrontchannel() error {
	uri := c.OAuth.FrontchannelLogoutURI
	if uri == "" {
		if c.OAuth.FrontchannelLogoutSession {
			return invalid(c.ID, "frontchannel_logout_session_required needs frontchannel_logout_uri")
		}
		return nil
	}
	if CheckEndpoint(uri) != nil {
		return invalid(c.ID, wants("frontchannel_logout_uri", uri))
	}
	if !slices.ContainsFunc(c.RedirectURIs, func(r string) bool { return originOf(r) == originOf(uri) }) {
		return invalid(c.ID, "frontchannel_logout_uri "+uri+" has the scheme, host and port of none of its redirect URIs")
	}
	return nil
}

func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	host, own := strings.ToLower(u.Host), map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(host, own)
}

// checkAsking checks what is asked for in the client's name when a request says
// nothing, and how people are asked.
func (c Client) checkAsking() error {
	o := c.OAuth
	if age := o.DefaultMaxAge; age != nil && (*age < 0 || *age > math.MaxInt32) {
		return invalid(c.ID, "default_max_age must be a number of seconds, 0 to "+strconv.Itoa(math.MaxInt32))
	}
	if len(o.DefaultACR) > mostKeys || slices.ContainsFunc(o.DefaultACR, func(s string) bool { return !isText(s, 100) || strings.Contains(s, " ") }) {
		return invalid(c.ID, "default_acr_values must be at most "+strconv.Itoa(mostKeys)+" names without spaces, of at most 100 bytes")
	}
	switch o.ApplicationType {
	case "", "web", "native":
	default:
		return invalid(c.ID, "application_type must be web or native")
	}
	switch o.Consents {
	case "", Remember, Ask:
	case Skip:
		if !c.FirstParty {
			return invalid(c.ID, "consent skip is for first-party clients: people must be asked what others may do")
		}
	default:
		return invalid(c.ID, "consent must be remember, ask or skip")
	}
	return nil
}

// checkAddresses checks what people are shown or led to. A page of ours with
// javascript: or data: behind a link would run it as our own.
func (c Client) checkAddresses() error {
	o := c.OAuth
	for _, f := range []struct{ member, uri string }{
		{"client_uri", o.URI}, {"logo_uri", o.LogoURI}, {"policy_uri", o.PolicyURI}, {"tos_uri", o.TermsURI},
		{"initiate_login_uri", o.InitiateLoginURI}, {"sector_identifier_uri", o.SectorURI},
	} {
		if f.uri != "" && CheckEndpoint(f.uri) != nil {
			return invalid(c.ID, wants(f.member, f.uri))
		}
	}
	if len(o.Contacts) > mostKeys || slices.ContainsFunc(o.Contacts, func(s string) bool { return !isText(s, 200) }) {
		return invalid(c.ID, "contacts must be at most "+strconv.Itoa(mostKeys)+" texts of 1 to 200 bytes without control characters")
	}
	return nil
}

// fapiAlgs are the algorithms of FAPI 2.0 Security Profile section 5.4.
var fapiAlgs = []jose.Algorithm{jose.PS256, jose.ES256, jose.EdDSA}

// checkProfile refuses a client that does not hold to its profile, with every reason.
func (c Client) checkProfile() error {
	var reasons []string
	switch c.Holds() {
	case Strict:
	case Certification:
		if c.Kind != Confidential {
			reasons = append(reasons, "the client must be confidential")
		}
	case FAPI2:
		reasons = c.againstFAPI()
	default:
		return invalid(c.ID, "profile must be strict, fapi2 or certification")
	}
	if len(reasons) > 0 {
		return invalid(c.ID, "profile "+string(c.Holds())+": "+strings.Join(reasons, "; "))
	}
	return nil
}

func (c Client) againstFAPI() (reasons []string) {
	o := c.OAuth
	add := func(wrong bool, reason string) {
		if wrong {
			reasons = append(reasons, reason)
		}
	}
	add(c.Kind != Confidential, "the client must be confidential")
	add(c.Auth() != AuthPrivateKeyJWT && c.Auth() != AuthTLS && c.Auth() != AuthSelfSignedTLS,
		"token_endpoint_auth_method must be private_key_jwt, tls_client_auth or self_signed_tls_client_auth")
	add(!o.DPoPBound && !o.TLSBound, "tokens must be bound: dpop_bound_access_tokens or tls_client_certificate_bound_access_tokens")
	for _, f := range []struct {
		member string
		alg    jose.Algorithm
	}{
		{"token_endpoint_auth_signing_alg", o.AuthAlg}, {"request_object_signing_alg", o.RequestAlg}, {"id_token_signed_response_alg", o.IDTokenAlg},
		{"userinfo_signed_response_alg", o.UserinfoAlg}, {"introspection_signed_response_alg", o.IntrospectionAlg},
	} {
		add(f.alg != "" && !slices.Contains(fapiAlgs, f.alg), f.member+" must be one of "+joined(fapiAlgs))
	}
	add(c.Auth() == AuthPrivateKeyJWT && len(o.JWKS) > 0 && !hasKeyFor(o.JWKS, fapiAlgs...), "jwks must have a key for one of "+joined(fapiAlgs))
	for _, u := range c.RedirectURIs {
		// The only http that checkPlaces lets through is that on loopback.
		add(!strings.HasPrefix(u, "https:") && !strings.HasPrefix(u, "http:"), "redirect URI "+u+" must be https, or http on loopback")
	}
	return reasons
}

// wants is the refusal of an address that CheckEndpoint refuses.
func wants(member, uri string) string {
	if len(uri) > 100 {
		uri = uri[:100]
	}
	return member + " " + strconv.QuoteToASCII(uri) + " must be absolute, https or http on loopback, plain ASCII, without fragment or user"
}

// isText reports whether s holds 1 to most bytes of text without control characters.
func isText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, isControl)
}
