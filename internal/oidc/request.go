package oidc

import (
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// The response modes that are served.
const (
	Query    = "query"
	FormPost = "form_post" // OAuth 2.0 Form Post Response Mode
)

// Request is an authorization request that was checked: the client is there, the
// redirect URI is its own, and every member has a value that means something. It
// travels sealed through the pages of a sign-in, and is kept with a pushed request.
type Request struct {
	ClientID     string   `json:"client_id"`
	RedirectURI  string   `json:"redirect_uri"`
	RedirectSent bool     `json:"redirect_sent,omitempty"` // the request named it: the exchange must name it again if it names one
	Mode         string   `json:"response_mode"`           // Query or FormPost
	State        string   `json:"state,omitempty"`
	APIID        string   `json:"api"`    // id of the API, api.Userinfo when only identity is wanted
	Scopes       []string `json:"scopes"` // as asked for, identity scopes included, sorted, each once
	Nonce        string   `json:"nonce,omitempty"`
	Challenge    string   `json:"code_challenge,omitempty"` // S256; "" only where the client's profile allows it
	JKT          string   `json:"dpop_jkt,omitempty"`       // the code is bound to this key (RFC 9449 section 10)

	Prompts   []string `json:"prompt,omitempty"`
	MaxAge    *int     `json:"max_age,omitempty"` // seconds
	ACR       []string `json:"acr_values,omitempty"`
	LoginHint string   `json:"login_hint,omitempty"`
	HintSub   string   `json:"hint_sub,omitempty"` // whom a checked id_token_hint names
	HintSID   string   `json:"hint_sid,omitempty"`
	Claims    *Claims  `json:"claims,omitempty"`
	Locales   []string `json:"ui_locales,omitempty"`

	// Started is when the request first arrived: prompt=login and max_age are
	// satisfied by a sign-in after it, whatever the address bar says meanwhile.
	Started time.Time `json:"started"`
	// Pushed is the ticket of a pushed request; zero when the parameters came with
	// the browser. It is used up when the answer is given.
	Pushed opaque.Digest `json:"pushed,omitzero"`
}

// Suits reports whether a request is content with a user: it names nobody else, and
// does not want the person to choose.
func (r Request) Suits(userID string) bool {
	other := r.HintSub != "" && r.HintSub != userID || r.Claims != nil && r.Claims.Sub != "" && r.Claims.Sub != userID
	return !other && !r.Asks("select_account")
}

// Has reports whether a scope was asked for.
func (r Request) Has(scope string) bool {
	for _, s := range r.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// Asks reports whether a prompt value was asked for.
func (r Request) Asks(prompt string) bool {
	for _, p := range r.Prompts {
		if p == prompt {
			return true
		}
	}
	return false
}
