package client

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/wafer-auth/wafer/verify/jose"
)

// What a key set of a client holds at most.
const (
	mostKeyBytes = 64 << 10
	mostKeys     = 20
)

// checkKeys checks the client's own keys, and that what needs them has them.
func (c Client) checkKeys() error {
	o := c.OAuth
	if problem := checkKeySource(o.JWKS, o.JWKSURI); problem != "" {
		return invalid(c.ID, problem)
	}
	if len(o.JWKS) == 0 && o.JWKSURI == "" {
		switch {
		case c.Auth() == AuthPrivateKeyJWT || c.Auth() == AuthSelfSignedTLS:
			return invalid(c.ID, string(c.Auth())+" needs jwks or jwks_uri")
		case o.RequireSigned:
			return invalid(c.ID, "require_signed_request_object needs jwks or jwks_uri")
		}
		return nil
	}
	if len(o.JWKS) == 0 {
		return nil
	}
	switch {
	case o.AuthAlg != "" && !hasKeyFor(o.JWKS, o.AuthAlg):
		return invalid(c.ID, "jwks has no key for token_endpoint_auth_signing_alg "+string(o.AuthAlg))
	case o.RequestAlg != "" && !hasKeyFor(o.JWKS, o.RequestAlg):
		return invalid(c.ID, "jwks has no key for request_object_signing_alg "+string(o.RequestAlg))
	}
	return nil
}

// checkKeySource returns what is wrong with keys that are given or somewhere, "" for
// nothing.
func checkKeySource(set json.RawMessage, uri string) string {
	switch {
	case len(set) > 0 && uri != "":
		return "has both jwks and jwks_uri"
	case len(set) > 0:
		return checkKeySet(set)
	case uri != "" && CheckEndpoint(uri) != nil:
		return wants("jwks_uri", uri)
	}
	return ""
}

// checkKeySet returns what is wrong with a key set. A secret in it was sent to where
// public keys are kept, so it is none any more.
func checkKeySet(set json.RawMessage) string {
	if len(set) > mostKeyBytes {
		return "jwks is longer than 64 KiB"
	}
	keys, ok := keysOf(set)
	switch {
	case !ok:
		return `jwks must be a JSON object {"keys": [...]} of JSON Web Keys, without repeated members`
	case len(keys) > mostKeys:
		return "jwks has more than " + strconv.Itoa(mostKeys) + " keys"
	}
	usable := false
	seen := map[string]bool{}
	for i, key := range keys {
		which := "key " + strconv.Itoa(i+1) + " of jwks "
		members, err := jose.Members(key)
		if err != nil {
			return which + "is no JSON object"
		}
		var kid string
		for _, m := range members {
			switch m.Name {
			case "d", "p", "q", "dp", "dq", "qi", "oth":
				return which + "is a private key (" + m.Name + "): send the public half, and make another one, for this one was shown"
			case "k":
				return which + "is symmetric: only public keys belong here"
			case "kid":
				if json.Unmarshal(m.Value, &kid) != nil || !isText(kid, 200) {
					return which + "has a kid that is no text of at most 200 bytes"
				}
			}
		}
		algs := algorithmsOf(key)
		for _, alg := range algs {
			name := string(alg) + " " + kid
			if seen[name] {
				return which + "has the kid of another one"
			}
			seen[name] = true
		}
		usable = usable || len(algs) > 0
	}
	if !usable {
		return "jwks has no key that a signature can be checked with"
	}
	return ""
}

// keysOf returns the elements of a key set.
func keysOf(set json.RawMessage) ([]json.RawMessage, bool) {
	members, err := jose.Members(set)
	if err != nil {
		return nil, false
	}
	at := slices.IndexFunc(members, func(m jose.Member) bool { return m.Name == "keys" })
	if at < 0 {
		return nil, false
	}
	var keys []json.RawMessage
	if json.Unmarshal(members[at].Value, &keys) != nil || keys == nil {
		return nil, false
	}
	return keys, true
}

// algorithmsOf returns what a signature of a key may name: many clients publish keys
// without alg.
func algorithmsOf(key json.RawMessage) []jose.Algorithm {
	var all []jose.Algorithm
	for _, alg := range asymmetric {
		if _, err := jose.ParseKeyFor(alg, key); err == nil {
			all = append(all, alg)
		}
	}
	return all
}

func hasKeyFor(set json.RawMessage, algs ...jose.Algorithm) bool {
	keys, _ := keysOf(set)
	return slices.ContainsFunc(keys, func(key json.RawMessage) bool {
		return slices.ContainsFunc(algorithmsOf(key), func(alg jose.Algorithm) bool { return slices.Contains(algs, alg) })
	})
}

// checkAssertions checks the issuers whose word counts.
func (c Client) checkAssertions() error {
	if len(c.OAuth.Assertions) > mostKeys {
		return invalid(c.ID, "more than "+strconv.Itoa(mostKeys)+" assertion_issuers")
	}
	seen := map[string]bool{}
	for _, a := range c.OAuth.Assertions {
		switch {
		case CheckEndpoint(a.Issuer) != nil:
			return invalid(c.ID, wants("the issuer in assertion_issuers", a.Issuer))
		case seen[a.Issuer]:
			return invalid(c.ID, "assertion_issuers names "+a.Issuer+" twice")
		case len(a.JWKS) == 0 && a.JWKSURI == "":
			return invalid(c.ID, "the assertion issuer "+a.Issuer+" needs jwks or jwks_uri")
		}
		if problem := checkKeySource(a.JWKS, a.JWKSURI); problem != "" {
			return invalid(c.ID, "the assertion issuer "+a.Issuer+": "+problem)
		}
		seen[a.Issuer] = true
	}
	return nil
}
