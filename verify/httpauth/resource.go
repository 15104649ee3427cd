package httpauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/internal/wire"
)

// Resource describes a protected service to clients that were never told of it (RFC
// 9728), such as those of the Model Context Protocol.
type Resource struct {
	// URL is the service's resource identifier, which clients ask tokens for: the audience
	// that its verifier wants. https, or http on loopback; no query, no fragment.
	URL string
	// Issuer is the authorization server.
	Issuer string
	// Scopes are those a client may ask for.
	Scopes []string
	// Name and Documentation are for people; empty ones are left out.
	Name, Documentation string
	// DPoP says that proofs are checked here: Options.Base is set.
	DPoP bool
}

// resourcePath is the well-known path (RFC 9728 section 3).
const resourcePath = "/.well-known/oauth-protected-resource"

// MetadataURL is the address of the description: the well-known path stands between the
// host and the path of the resource (RFC 9728 section 3.1).
func (d Resource) MetadataURL() string {
	u, err := url.Parse(d.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + resourcePath + strings.TrimSuffix(u.EscapedPath(), "/")
}

// ResourceMetadata serves the description, at the path of MetadataURL. It panics on one
// that cannot be meant.
func ResourceMetadata(d Resource) (pattern string, h http.Handler) {
	u, err := url.Parse(d.URL)
	if err != nil || wire.CheckURL(d.URL) != nil || u.RawQuery != "" || u.ForceQuery {
		panic("httpauth: Resource.URL must be an absolute URL over https, or http on loopback, without user, query and fragment")
	}
	if wire.CheckURL(d.Issuer) != nil {
		panic("httpauth: Resource.Issuer must be an absolute URL over https, or http on loopback")
	}
	type document struct {
		Resource      string   `json:"resource"`
		Servers       []string `json:"authorization_servers"`
		Scopes        []string `json:"scopes_supported,omitempty"`
		Methods       []string `json:"bearer_methods_supported"`
		Name          string   `json:"resource_name,omitempty"`
		Documentation string   `json:"resource_documentation,omitempty"`
		Algorithms    []string `json:"dpop_signing_alg_values_supported,omitempty"`
	}
	out := document{
		Resource: d.URL, Servers: []string{d.Issuer}, Scopes: slices.Clone(d.Scopes), Methods: []string{"header"}, Name: d.Name, Documentation: d.Documentation,
	}
	if d.DPoP {
		for _, a := range dpop.Algorithms {
			out.Algorithms = append(out.Algorithms, string(a))
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		panic(err) // strings always marshal
	}
	length := strconv.Itoa(len(body))
	return "GET " + resourcePath + strings.TrimSuffix(u.EscapedPath(), "/"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", length)
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Access-Control-Allow-Origin", "*") // it is for everybody, pages included
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(body) // a caller who went away needs no answer
	})
}
