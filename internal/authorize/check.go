package authorize

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// The values of prompt (OpenID Connect Core section 3.1.2.1).
const (
	promptNone    = "none"
	promptLogin   = "login"
	promptConsent = "consent"
	promptSelect  = "select_account"
)

// Prompts lists the values of prompt that are served, for metadata.
var Prompts = []string{promptConsent, promptLogin, promptNone, promptSelect}

const (
	mostScopes = 100
	mostLogin  = 320 // more bytes than a login has
	mostValues = 20  // of acr_values and ui_locales
	hashText   = 43  // a SHA-256 as base64url
)

// check fills r with everything that the parameters say. A refusal comes with what r
// is by then: its place is known.
func (s *Service) check(ctx context.Context, c client.Client, in Params, r oidc.Request) (oidc.Request, error) {
	r.Started = s.now()
	if !c.MayUse(client.AuthorizationCode) {
		return r, refuse(oidc.UnauthorizedClient, "The client may not use the authorization endpoint.")
	}
	if err := in.check(); err != nil {
		return r, err
	}
	for _, read := range []func(client.Client, Params, *oidc.Request) error{
		readResponse, readScopes, readChallenge, readPrompts, readAge, readWishes, readBinding,
	} {
		if err := read(c, in, &r); err != nil {
			return r, err
		}
	}
	var err error
	if r.APIID, err = s.target(ctx, c, in, r); err != nil {
		return r, err
	}
	return s.readHint(ctx, c, in, r)
}

// hintFor is how long after it was made an ID token is still taken as a hint. It may
// be expired.
const hintFor = 90 * 24 * time.Hour

// readHint reads id_token_hint: an ID token that we gave this client.
func (s *Service) readHint(ctx context.Context, c client.Client, in Params, r oidc.Request) (oidc.Request, error) {
	text := in.get("id_token_hint")
	if text == "" {
		return r, nil
	}
	h, ok, err := s.Grants.IDTokenHint(ctx, text)
	if err != nil {
		return r, fmt.Errorf("read id_token_hint: %w", err)
	}
	if !ok || h.ClientID != c.ID || s.Now().Sub(h.IssuedAt) > hintFor {
		return r, refuse(oidc.InvalidRequest, "id_token_hint is not an ID token that was given to this client.")
	}
	r.HintSub, r.HintSID = h.Subject, h.SessionID
	return r, nil
}

// readResponse takes codes only: no token ever passes through a browser's address
// bar (OAuth 2.1 section 10.1).
func readResponse(_ client.Client, in Params, r *oidc.Request) error {
	switch in.get("response_type") {
	case "code":
	case "":
		return refuse(oidc.InvalidRequest, "response_type is missing.")
	default:
		return refuse(oidc.UnsupportedResponseType, "The only response_type is code.")
	}
	if mode := in.get("response_mode"); mode != "" && mode != oidc.Query && mode != oidc.FormPost {
		return refuse(oidc.InvalidRequest, "response_mode is query or form_post.")
	}
	r.Nonce = in.get("nonce")
	return nil
}

func readScopes(_ client.Client, in Params, r *oidc.Request) error {
	text := in.get("scope")
	if text == "" {
		return nil
	}
	all := strings.SplitN(text, " ", mostScopes+1)
	if len(all) > mostScopes {
		return refuse(oidc.InvalidScope, "scope names too many scopes.")
	}
	for _, one := range all {
		if !api.ValidScope(one) || one == "*" {
			return refuse(oidc.InvalidScope, "scope is not a space-delimited list of scopes.")
		}
	}
	slices.Sort(all)
	r.Scopes = slices.Compact(all)
	return nil
}

// readChallenge takes S256 alone: a plain challenge is the verifier itself (RFC 9700
// section 2.1.1).
func readChallenge(c client.Client, in Params, r *oidc.Request) error {
	challenge, method := in.get("code_challenge"), in.get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && !c.NeedsPKCE():
		return nil
	case challenge == "":
		return refuse(oidc.InvalidRequest, "code_challenge is missing (PKCE, RFC 7636).")
	case method != "S256":
		return refuse(oidc.InvalidRequest, "code_challenge_method must be S256.")
	case !isHash(challenge):
		return refuse(oidc.InvalidRequest, "code_challenge is not a SHA-256 as base64url.")
	}
	r.Challenge = challenge
	return nil
}

// isHash reports whether a text can be a SHA-256 as base64url without padding.
func isHash(text string) bool {
	if len(text) != hashText {
		return false
	}
	for i := range len(text) {
		b := text[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}

func readPrompts(_ client.Client, in Params, r *oidc.Request) error {
	for _, one := range strings.Fields(in.get("prompt")) {
		if !slices.Contains(Prompts, one) {
			return refuse(oidc.InvalidRequest, "prompt holds a value that is not supported.")
		}
		if !r.Asks(one) {
			r.Prompts = append(r.Prompts, one)
		}
	}
	if r.Asks(promptNone) && len(r.Prompts) > 1 {
		return refuse(oidc.InvalidRequest, "prompt=none goes with no other value.")
	}
	return nil
}

func readAge(c client.Client, in Params, r *oidc.Request) error {
	text := in.get("max_age")
	if text == "" {
		r.MaxAge = c.OAuth.Clone().DefaultMaxAge
		return nil
	}
	age, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return refuse(oidc.InvalidRequest, "max_age is not a number of seconds.")
	}
	seconds := int(age)
	r.MaxAge = &seconds
	return nil
}

// readWishes reads what is only a wish: what cannot be met is left out.
func readWishes(c client.Client, in Params, r *oidc.Request) error {
	if r.ACR = strings.Fields(in.get("acr_values")); len(r.ACR) == 0 {
		r.ACR = slices.Clone(c.OAuth.DefaultACR)
	}
	r.ACR = r.ACR[:min(len(r.ACR), mostValues)]
	r.Locales = strings.Fields(in.get("ui_locales"))
	r.Locales = r.Locales[:min(len(r.Locales), mostValues)]
	if hint := in.get("login_hint"); len(hint) <= mostLogin {
		r.LoginHint = hint
	}
	text := in.get("claims")
	if text == "" {
		return nil
	}
	var err error
	if r.Claims, err = oidc.ParseClaims(text); err != nil {
		return refuse(oidc.InvalidRequest, "claims cannot be read: "+err.Error()+".")
	}
	return nil
}

func readBinding(_ client.Client, in Params, r *oidc.Request) error {
	jkt := in.get("dpop_jkt")
	if jkt != "" && !isHash(jkt) {
		return refuse(oidc.InvalidRequest, "dpop_jkt is not the thumbprint of a key.")
	}
	r.JKT = jkt
	return nil
}
