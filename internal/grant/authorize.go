package grant

import (
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/role"
)

// path is the way by which a token is asked for.
type path string

const (
	bySignIn    path = "sign-in"           // credentials at POST /session, through a first-party client
	bySwap      path = "swap"              // a session cookie for a token
	byRefresh   path = client.RefreshToken // a refresh token
	byClient    path = client.ClientCredentials
	byCode      path = client.AuthorizationCode
	byDevice    path = client.DeviceCode
	byExchange  path = client.TokenExchange
	byAssertion path = client.JWTBearer
)

// want is what a caller asks for.
type want struct {
	scopes []string // empty: all it may have
	// proof is what the caller proved to hold. A preview, before anybody could prove
	// anything, has proved set.
	proof  Proof
	proved bool
}

// Proof is the keys that a caller proved to hold, besides its client's credentials:
// the tokens it is given are bound to them.
type Proof struct {
	JKT string // thumbprint of the key of a DPoP proof (RFC 9449), "" for none
	X5T string // thumbprint of the certificate of the connection (RFC 8705), "" for none
}

// authorizeIssuance is the one gate in front of every token: nothing is minted
// that did not pass it. It decides on st alone, which was read in one snapshot,
// and returns the scopes that may be given.
func authorizeIssuance(st State, by path, w want, now time.Time) ([]string, *Error) {
	ofClient, err := clientMay(st, by, w)
	if err != nil {
		return nil, err
	}
	if by != byClient {
		if err := userMay(st, by, now); err != nil {
			return nil, err
		}
	}
	return scopesFor(st, by, ofClient, w.scopes)
}

// clientMay is what of the gate is about the client alone. It returns the scopes of
// the API that the client may ask for.
func clientMay(st State, by path, w want) ([]string, *Error) {
	if st.Client == nil || st.Client.Disabled {
		return nil, refuse(InvalidClient, "The client is unknown or disabled.")
	}
	if err := mayWalk(*st.Client, by); err != nil {
		return nil, err
	}
	if st.API == nil || st.API.Disabled {
		return nil, refuse(InvalidTarget, "There is no such API.")
	}
	ofClient, ok := ofAPI(*st.Client, st.API.ID)
	if !ok {
		return nil, refuse(InvalidTarget, "The client is not registered for this API.")
	}
	if err := mustBeBound(*st.Client, w); err != nil {
		return nil, err
	}
	return ofClient, nil
}

// ofAPI returns the scopes that a client may ask for of an API. Who a person is may
// be asked by every client that people are led back to.
func ofAPI(c client.Client, apiID string) ([]string, bool) {
	scopes, ok := c.APIs[apiID]
	if !ok && apiID == api.Userinfo && (c.MayUse(client.AuthorizationCode) || c.MayUse(client.DeviceCode)) {
		return []string{role.All}, true
	}
	return scopes, ok
}

// mustBeBound refuses a token that whoever finds it could use, to a client that is
// registered for bound ones only (RFC 9449 section 5.2, RFC 8705 section 3.4).
func mustBeBound(c client.Client, w want) *Error {
	switch {
	case w.proved:
		return nil
	case c.OAuth.DPoPBound && w.proof.JKT == "":
		return refuse(oidc.InvalidDPoPProof, "The client is registered for DPoP: the request needs a proof.")
	case c.OAuth.TLSBound && w.proof.X5T == "":
		return refuse(InvalidRequest, "The client is registered for certificate-bound tokens: the connection needs its certificate.")
	case c.Holds() == client.FAPI2 && w.proof == (Proof{}):
		return refuse(InvalidRequest, "The client's profile wants tokens bound to a key: the request needs a DPoP proof or a client certificate.")
	}
	return nil
}

func mayWalk(c client.Client, by path) *Error {
	switch by {
	case bySignIn, bySwap:
		if !c.FirstParty {
			return refuse(UnauthorizedClient, "Only a first-party client may do this; others use the authorization endpoint.")
		}
	default:
		if !c.MayUse(string(by)) {
			return refuse(UnauthorizedClient, "The client may not use this grant type.")
		}
	}
	return nil
}

// userMay checks the person, the session and, on refresh, the grant. They all
// must belong together.
func userMay(st State, by path, now time.Time) *Error {
	gone := refuse(InvalidGrant, "The session or grant has ended.")
	if st.User == nil || st.User.Disabled {
		return gone
	}
	if st.Session == nil || !st.Session.Live(now) || st.Session.UserID != st.User.ID {
		return gone
	}
	if !ofGrant(by) {
		return nil
	}
	g := st.Grant
	if g == nil || !now.Before(g.ExpiresAt) || g.UserID != st.User.ID || g.SessionID != st.Session.ID ||
		g.ClientID != st.Client.ID || g.APIID != st.API.ID {
		return gone
	}
	return nil
}

// ofGrant reports whether a path goes on with a grant that is there already.
func ofGrant(by path) bool { return by == byRefresh || by == byCode }

// scopesFor intersects what the API knows, what the client may ask for and, when
// a user is there, what the user's roles give and the grant holds. What the
// client itself may not ask for is an error; what the user lacks is left out, and
// the answer says so (RFC 6749 section 3.3).
func scopesFor(st State, by path, ofClient, asked []string) ([]string, *Error) {
	if err := mayAsk(st, by, ofClient, asked); err != nil {
		return nil, err
	}
	given := identity(st, by, asked)
	for _, s := range st.API.Scopes {
		if oidc.IsIdentity(s) || !allows(ofClient, s) || len(asked) > 0 && !slices.Contains(asked, s) {
			continue
		}
		if by != byClient && !hasScope(st.Roles, st.API.ID, s) {
			continue
		}
		if ofGrant(by) && !slices.Contains(st.Grant.Scopes, s) {
			continue
		}
		given = append(given, s)
	}
	if len(given) == 0 {
		return nil, refuse(InvalidScope, "No scope of this API may be given here.")
	}
	return given, nil
}

// mayAsk refuses scopes that the client, or the grant, does not have.
func mayAsk(st State, by path, ofClient, asked []string) *Error {
	for _, s := range asked {
		if oidc.IsIdentity(s) && mayIdentify(*st.Client, by, s) {
			continue
		}
		if !st.API.Has(s) || !allows(ofClient, s) {
			return refuse(InvalidScope, "The client may not ask for scope "+clip(s)+" of this API.")
		}
		if ofGrant(by) && !slices.Contains(st.Grant.Scopes, s) {
			return refuse(InvalidScope, "A refresh cannot widen the scope.")
		}
	}
	return nil
}

// mayIdentify reports whether a client may ask, on this path, who a person is. A
// client that lists userinfo among its APIs has what it lists.
func mayIdentify(c client.Client, by path, scope string) bool {
	if by != byCode && by != byDevice && by != byRefresh {
		return false
	}
	list, ok := ofAPI(c, api.Userinfo)
	return ok && allows(list, scope)
}

// identity returns the identity scopes that may be given: those that were asked for,
// or, when nothing was, those of the grant. They are about the person alone and need
// no role.
func identity(st State, by path, asked []string) []string {
	given := []string{}
	if len(asked) == 0 && ofGrant(by) {
		asked = st.Grant.Scopes
	}
	for _, s := range asked {
		if !oidc.IsIdentity(s) || !mayIdentify(*st.Client, by, s) || ofGrant(by) && !slices.Contains(st.Grant.Scopes, s) {
			continue
		}
		given = append(given, s)
	}
	return given
}

func allows(list []string, scope string) bool {
	return slices.Contains(list, scope) || slices.Contains(list, role.All)
}

func hasScope(roles []role.Role, apiID, scope string) bool {
	return slices.ContainsFunc(roles, func(r role.Role) bool { return r.Allows(apiID, scope) })
}

// userScopes are the scopes of an API that a user's roles give.
func userScopes(u *account.User, roles []role.Role, a *api.API) []string {
	if u == nil || a == nil {
		return nil
	}
	var given []string
	for _, s := range a.Scopes {
		if hasScope(roles, a.ID, s) {
			given = append(given, s)
		}
	}
	return given
}

func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most]
	}
	return s
}
