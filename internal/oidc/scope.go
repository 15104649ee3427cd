package oidc

import "slices"

// The identity scopes (OpenID Connect Core section 5.4 and 11). No API has scopes
// of these names.
const (
	OpenID        = "openid"
	Profile       = "profile"
	Email         = "email"
	Address       = "address"
	Phone         = "phone"
	OfflineAccess = "offline_access"
)

// IdentityScopes lists them, sorted.
var IdentityScopes = []string{Address, Email, OfflineAccess, OpenID, Phone, Profile}

// IsIdentity reports whether a scope is one of them.
func IsIdentity(scope string) bool { return slices.Contains(IdentityScopes, scope) }

// SplitScopes tells identity scopes from those of an API, each in its order.
func SplitScopes(all []string) (identity, ofAPI []string) {
	for _, s := range all {
		if IsIdentity(s) {
			identity = append(identity, s)
		} else {
			ofAPI = append(ofAPI, s)
		}
	}
	return identity, ofAPI
}
