// Package oidc is the words of OpenID Connect and of authorization requests that
// more than one flow speaks: the request once it was checked, the identity scopes
// and their claims, the ID token. It decides nothing.
package oidc
