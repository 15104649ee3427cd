package httpauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/verify"
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
	// Scopes are those a client may ask for. offline_access is not the service's to name, and is
	// left out.
	Scopes []string
	// Name and Documentation are for people; empty ones are left out.
	Name, Documentation string
	// DPoP says that proofs are checked here: Options.Base is set.
	DPoP bool
	// Certificates says that tokens which are bound to a client's certificate (RFC 8705) are
	// taken here: the server asks for one, or Options.Certificate is set.
	Certificates bool
}

// resourcePath is the well-known path (RFC 9728 section 3).
const resourcePath = "/.well-known/oauth-protected-resource"

// MetadataURL is the address of the description, for Options.Metadata: the well-known
// path stands between the host and the path of the resource (RFC 9728 section 3.1). It
// panics on a Resource that cannot be meant.
func (d Resource) MetadataURL() string {
	u := d.parse()
	return u.Scheme + "://" + u.Host + metadataPath(u)
}

// metadataPath leaves out the slash that only ends the host.
func metadataPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return resourcePath + path
}

func (d Resource) parse() *url.URL {
	u, err := url.Parse(d.URL)
	if err != nil || wire.CheckURL(d.URL) != nil || strings.ContainsAny(d.URL, "?#") {
		panic("httpauth: Resource.URL must be an absolute URL over https, or http on loopback, without user, query and fragment: " + quote(d.URL, ""))
	}
	return u
}

// document is what is served: only what is true of this library.
type document struct {
	Resource      string   `json:"resource"`
	Servers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	Methods       []string `json:"bearer_methods_supported"`
	Name          string   `json:"resource_name,omitempty"`
	Documentation string   `json:"resource_documentation,omitempty"`
	Certificates  bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	Algorithms    []string `json:"dpop_signing_alg_values_supported,omitempty"`
}

func (d Resource) document() document {
	if wire.CheckURL(d.Issuer) != nil {
		panic("httpauth: Resource.Issuer must be an absolute URL over https, or http on loopback: " + quote(d.Issuer, ""))
	}
	out := document{
		Resource: d.URL, Servers: []string{d.Issuer}, Methods: []string{"header"}, Name: d.Name, Documentation: d.Documentation, Certificates: d.Certificates,
	}
	for _, s := range d.Scopes {
		if !verify.ValidScope(s) {
			panic("httpauth: not a scope: " + quote(s, ""))
		}
		if s != "offline_access" {
			out.Scopes = append(out.Scopes, s)
		}
	}
	if d.DPoP {
		out.Algorithms = strings.Fields(algorithms)
	}
	return out
}

// ResourceMetadata serves the description, at the path of MetadataURL: to everybody,
// pages of any origin included. The pattern is for http.ServeMux. It panics on a
// Resource that cannot be meant.
func ResourceMetadata(d Resource) (pattern string, h http.Handler) {
	pattern = metadataPath(d.parse())
	if strings.HasSuffix(pattern, "/") {
		pattern += "{$}" // this address, and not what lies below
	}
	body, err := json.Marshal(d.document())
	if err != nil {
		panic(err) // strings always marshal
	}
	length := strconv.Itoa(len(body))
	return pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // nothing here is anybody's in particular
		h.Set("X-Content-Type-Options", "nosniff")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions: // clients in a browser may send headers of their protocol
			h.Set("Access-Control-Allow-Methods", "GET, HEAD")
			h.Set("Access-Control-Allow-Headers", "*")
			h.Set("Access-Control-Max-Age", preflightAge)
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", length)
		h.Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body) // a caller who went away needs no answer
	})
}
