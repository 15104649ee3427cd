package wire

import (
	"encoding/base64"
	"net/http"
	"net/url"
)

// Basic is the Authorization header of a client: id and secret are each
// form-encoded before they are joined (RFC 6749 section 2.3.1).
func Basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// Client copies the caller's client and takes redirects and cookies away: a
// secret, a ticket or a credential must go nowhere but where the configuration
// says. Without a transport of its own it gets one that keeps so many idle
// connections to a host. given may be nil.
func Client(given *http.Client, idle int) *http.Client {
	var client http.Client
	if given != nil {
		client = *given
	}
	if client.Transport == nil {
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			t = t.Clone()
			t.MaxIdleConnsPerHost = idle
			client.Transport = t
		}
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
