package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/wafer-auth/wafer/internal/client"
)

// oauthFlags say how a client speaks OAuth.
type oauthFlags struct {
	Profile       *string  `help:"Rules that it is held to: strict, fapi2 or certification." placeholder:"NAME"`
	OAuth         []string `name:"oauth" help:"A registered name and its value, such as token_endpoint_auth_method=private_key_jwt, or a JSON object; may be repeated. An empty value takes it away." sep:"none" placeholder:"NAME=VALUE"`
	JWKSFile      string   `name:"jwks-file" help:"File with its public keys, a JSON Web Key Set." type:"existingfile" placeholder:"FILE"`
	PostLogoutURI []string `name:"post-logout-uri" help:"Where people may be sent after a logout; may be repeated." placeholder:"URI"`
}

// object is the flags as the management API takes them, nil for none.
func (f oauthFlags) object() (json.RawMessage, error) {
	all, err := members[client.OAuth](f.OAuth)
	if err != nil {
		return nil, fmt.Errorf("--oauth %w", err)
	}
	if f.Profile != nil {
		all["profile"] = jsonText(*f.Profile)
	}
	if uris := given(f.PostLogoutURI); uris != nil {
		all["post_logout_redirect_uris"] = jsonText(*uris)
	}
	if f.JWKSFile != "" {
		text, err := os.ReadFile(f.JWKSFile)
		if err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		if !json.Valid(text) {
			return nil, fmt.Errorf("--jwks-file %s holds no JSON", f.JWKSFile)
		}
		all["jwks"] = text
	}
	return object(all), nil
}
