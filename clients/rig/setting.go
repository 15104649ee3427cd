package rig

import (
	"net"
	"sync"
)

// What the clients are registered with, at the server and at the control.
const (
	RedirectURI = "http://127.0.0.1:9/callback" // nobody listens: the address is what counts
	LoggedOut   = "http://127.0.0.1:9/bye"
	Login       = "ada@example.com"
	Password    = "correct-horse-battery-staple"
	WebSecret   = "a-secret-of-the-web-client-0001"
	OwnSecret   = "a-secret-of-the-machine-000001"
	OldSecret   = "a-secret-of-the-legacy-client-1"
)

// Setting is what a client is told.
type Setting struct {
	Issuer       string `json:"issuer"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	RedirectURI  string `json:"redirect_uri"`
	LoggedOut    string `json:"post_logout_redirect_uri"`
	Login        string `json:"login"`
	Password     string `json:"password"`
	Email        string `json:"email"`
	Scope        string `json:"scope"`
	Resource     string `json:"resource,omitempty"`
	DPoP         bool   `json:"dpop,omitempty"`
	Control      bool   `json:"control,omitempty"` // the server is the other provider
	Key          string `json:"key,omitempty"`     // file with the client's private key, a JWK
	Orders       string `json:"orders,omitempty"`  // address of an API to call
}

// SettingFor is what one of the clients of testdata/setup.yaml is told.
func SettingFor(issuer, clientID string) Setting {
	s := Setting{
		Issuer: issuer, ClientID: clientID, RedirectURI: RedirectURI, LoggedOut: LoggedOut, Login: Login, Password: Password, Email: Login,
		Scope: "openid email profile offline_access",
	}
	switch clientID {
	case "web":
		s.ClientSecret = WebSecret
	case "machine":
		s.ClientSecret = OwnSecret
	case "legacy":
		s.ClientSecret, s.RedirectURI = OldSecret, LegacyCallback()
	case "dpop":
		s.DPoP = true
	}
	return s
}

// Clients that listen for themselves, and have to be registered with where they do.
var (
	LegacyCallback = sync.OnceValue(func() string { return unused() + "/callback" })
	ApacheURL      = sync.OnceValue(unused)
	PageURL        = sync.OnceValue(unused)
)

// unused is a URL of this machine where nobody listens.
func unused() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}
