package oauth

import (
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/verify/jose"
)

// metadataOfClients is the part of the metadata about how clients prove who they are,
// and what their tokens are bound to (RFC 8414, 8705, 9449).
type metadataOfClients struct {
	TokenMethods         []client.AuthMethod `json:"token_endpoint_auth_methods_supported"`
	TokenAlgs            []jose.Algorithm    `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationMethods    []client.AuthMethod `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgs       []jose.Algorithm    `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectionMethods []client.AuthMethod `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs    []jose.Algorithm    `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	ProofAlgs            []jose.Algorithm    `json:"dpop_signing_alg_values_supported"`
	CertificateBound     bool                `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	Aliases              map[string]string   `json:"mtls_endpoint_aliases,omitempty"`
}

// atCertificates are the endpoints that read the certificate of a connection, by
// their names in the metadata.
var atCertificates = map[string]string{
	"token_endpoint": tokenPath, "revocation_endpoint": revokePath, "introspection_endpoint": introspectPath,
	"device_authorization_endpoint": devicePath, "pushed_authorization_request_endpoint": pushPath, "userinfo_endpoint": api.UserinfoPath,
}

func (s *Surface) clientMetadata() metadataOfClients {
	proofs := s.authMethods()
	all := append([]client.AuthMethod{client.AuthNone}, proofs...)
	m := metadataOfClients{
		TokenMethods: all, TokenAlgs: grant.AssertionAlgs, RevocationMethods: all, RevocationAlgs: grant.AssertionAlgs,
		IntrospectionMethods: proofs, IntrospectionAlgs: grant.AssertionAlgs, ProofAlgs: grant.ProofAlgs, CertificateBound: s.Certificates != nil,
	}
	if s.MTLS == "" || s.MTLS == s.Issuer {
		return m
	}
	m.Aliases = map[string]string{}
	for name, path := range atCertificates {
		m.Aliases[name] = s.MTLS + path
	}
	return m
}
