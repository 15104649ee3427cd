package grant

import (
	"slices"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/role"
)

// path is the way by which a token is asked for.
type path string

const (
	bySignIn  path = "sign-in"           // credentials at POST /session, through a first-party client
	bySwap    path = "swap"              // a session cookie for a token
	byRefresh path = client.RefreshToken // a refresh token
	byClient  path = client.ClientCredentials
)

// authorizeIssuance is the one gate in front of every token: nothing is minted
// that did not pass it. It decides on st alone, which was read in one snapshot,
// and returns the scopes that may be given. asked is what the caller wants; empty
// means all it may have.
func authorizeIssuance(st State, by path, asked []string, now time.Time) ([]string, *Error) {
	if st.Client == nil || st.Client.Disabled {
		return nil, refuse(InvalidClient, "The client is unknown or disabled.")
	}
	if err := mayWalk(*st.Client, by); err != nil {
		return nil, err
	}
	if st.API == nil || st.API.Disabled {
		return nil, refuse(InvalidTarget, "There is no such API.")
	}
	ofClient, ok := st.Client.APIs[st.API.ID]
	if !ok {
		return nil, refuse(InvalidTarget, "The client is not registered for this API.")
	}
	if by != byClient {
		if err := userMay(st, by, now); err != nil {
			return nil, err
		}
	}
	return scopesFor(st, by, ofClient, asked)
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
	if by != byRefresh {
		return nil
	}
	g := st.Grant
	if g == nil || !now.Before(g.ExpiresAt) || g.UserID != st.User.ID || g.SessionID != st.Session.ID ||
		g.ClientID != st.Client.ID || g.APIID != st.API.ID {
		return gone
	}
	return nil
}

// scopesFor intersects what the API knows, what the client may ask for and, when
// a user is there, what the user's roles give and the grant holds. What the
// client itself may not ask for is an error; what the user lacks is left out, and
// the answer says so (RFC 6749 section 3.3).
func scopesFor(st State, by path, ofClient, asked []string) ([]string, *Error) {
	for _, s := range asked {
		if !st.API.Has(s) || !allows(ofClient, s) {
			return nil, refuse(InvalidScope, "The client may not ask for scope "+clip(s)+" of this API.")
		}
		if by == byRefresh && !slices.Contains(st.Grant.Scopes, s) {
			return nil, refuse(InvalidScope, "A refresh cannot widen the scope.")
		}
	}
	given := make([]string, 0, len(st.API.Scopes))
	for _, s := range st.API.Scopes {
		if !allows(ofClient, s) || len(asked) > 0 && !slices.Contains(asked, s) {
			continue
		}
		if by != byClient && !hasScope(st.Roles, st.API.ID, s) {
			continue
		}
		if by == byRefresh && !slices.Contains(st.Grant.Scopes, s) {
			continue
		}
		given = append(given, s)
	}
	if len(given) == 0 {
		return nil, refuse(InvalidScope, "No scope of this API may be given here.")
	}
	return given, nil
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
