package client

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/verify/jose"
)

// asymmetric are the algorithms of what a client signs. A key that both sides hold
// proves nothing to a third, and "none" proves nothing to anybody.
var asymmetric = []jose.Algorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// checkProof checks how the client proves who it is: by one method, and with nothing
// beside it.
func (c Client) checkProof() error {
	o := c.OAuth
	if o.AuthMethod != "" && !slices.Contains(AuthMethods, o.AuthMethod) {
		return invalid(c.ID, "token_endpoint_auth_method "+string(o.AuthMethod)+" is not one of "+joined(AuthMethods))
	}
	if c.Kind == Public && c.Auth() != AuthNone {
		return invalid(c.ID, "a public client keeps no secret and no key: its token_endpoint_auth_method is none")
	}
	if c.Kind == Confidential && c.Auth() == AuthNone {
		return invalid(c.ID, "a confidential client proves who it is: its token_endpoint_auth_method cannot be none")
	}
	switch {
	case c.KeepsSecret() && c.SecretHash.IsZero():
		return invalid(c.ID, "a confidential client has a secret, unless its token_endpoint_auth_method says otherwise")
	case c.Kind == Public && !c.SecretHash.IsZero():
		return invalid(c.ID, "a confidential client has a secret, a public one has none")
	case !c.KeepsSecret() && !(c.SecretHash.IsZero() && c.OldSecretHash.IsZero()):
		return invalid(c.ID, "a client with "+string(c.Auth())+" has no secret")
	case c.OldSecretHash.IsZero() != c.OldSecretUntil.IsZero():
		return invalid(c.ID, "an old secret has an end, and no other has one")
	}
	if err := c.checkAuthAlg(); err != nil {
		return err
	}
	return c.checkNames()
}

func (c Client) checkAuthAlg() error {
	alg := c.OAuth.AuthAlg
	switch {
	case alg == "":
		return nil
	case c.Auth() != AuthPrivateKeyJWT:
		return invalid(c.ID, "token_endpoint_auth_signing_alg is for private_key_jwt")
	case !slices.Contains(asymmetric, alg):
		return invalid(c.ID, "token_endpoint_auth_signing_alg "+string(alg)+" is not one of "+joined(asymmetric))
	}
	return nil
}

// checkNames wants the one name of RFC 8705 section 2.1.2, and none where it would be
// no proof.
func (c Client) checkNames() error {
	o := c.OAuth
	names := []string{o.TLSSubjectDN, o.TLSSANDNS, o.TLSSANURI, o.TLSSANIP, o.TLSSANEmail}
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	switch {
	case c.Auth() != AuthTLS && len(names) > 0:
		return invalid(c.ID, "the tls_client_auth_... names are for token_endpoint_auth_method tls_client_auth")
	case c.Auth() != AuthTLS:
		return nil
	case len(names) != 1:
		return invalid(c.ID, "tls_client_auth needs exactly one of tls_client_auth_subject_dn, tls_client_auth_san_dns, tls_client_auth_san_uri, "+
			"tls_client_auth_san_ip and tls_client_auth_san_email")
	case !isText(names[0], 1000):
		return invalid(c.ID, "the name of its certificate is longer than 1000 bytes or holds control characters")
	}
	if o.TLSSubjectDN != "" {
		if err := CheckDN(o.TLSSubjectDN); err != nil {
			return invalid(c.ID, "tls_client_auth_subject_dn: "+err.Error())
		}
	}
	switch {
	case o.TLSSubjectDN != "" && CheckDN(o.TLSSubjectDN) != nil:
		return invalid(c.ID, "tls_client_auth_subject_dn is no distinguished name as RFC 4514 writes it, such as CN=billing,O=Example")
	case o.TLSSANDNS != "" && !isHost(strings.ToLower(o.TLSSANDNS)):
		return invalid(c.ID, "tls_client_auth_san_dns is no host name; a wildcard stands for many hosts")
	case o.TLSSANURI != "" && !strings.Contains(o.TLSSANURI, ":"):
		return invalid(c.ID, "tls_client_auth_san_uri is no absolute URI")
	case o.TLSSANEmail != "" && !isAddress(o.TLSSANEmail):
		return invalid(c.ID, "tls_client_auth_san_email is no address")
	case o.TLSSANIP != "":
		if _, err := netip.ParseAddr(o.TLSSANIP); err != nil {
			return invalid(c.ID, "tls_client_auth_san_ip is no IP address")
		}
	}
	return nil
}

func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.ContainsAny(s, " <>,;") && !strings.Contains(domain, "@")
}

func joined[T ~string](list []T) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = string(s)
	}
	return strings.Join(parts, ", ")
}
