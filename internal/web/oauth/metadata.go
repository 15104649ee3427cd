package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// metadataAge is how long metadata may be cached.
const metadataAge = 5 * time.Minute

// metadataOf says what is switched on (RFC 8414, OpenID Connect Discovery 1.0),
// and nothing else: what is not listed is not there. A list without members is
// left out (RFC 8414 section 3.2).
type metadataOf struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	GrantTypes            []string `json:"grant_types_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
}

// document is an answer made once.
type document struct {
	body []byte
	etag string
}

// newDocument makes the metadata from the issuer alone: a Host header never gets
// near it.
func newDocument(issuer string) document {
	body, err := json.Marshal(metadataOf{
		Issuer: issuer, TokenEndpoint: issuer + "/oauth/token", JWKS: issuer + "/.well-known/jwks.json",
		GrantTypes: grantNames(), AuthMethods: authMethods,
		RevocationEndpoint: issuer + "/oauth/revoke", RevocationMethods: authMethods,
		IntrospectionEndpoint: issuer + "/oauth/introspect", IntrospectionMethods: secretMethods,
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(body)
	return document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func (s *Surface) metadata(w http.ResponseWriter, r *http.Request) error {
	s.discovery.send(w, r, metadataAge)
	return nil
}

func (s *Surface) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag := s.Keys.JWKS()
	if !strings.HasPrefix(etag, `"`) {
		etag = `"` + etag + `"`
	}
	document{body, etag}.send(w, r, s.Keys.MaxAge())
	return nil
}

func (d document) send(w http.ResponseWriter, r *http.Request, age time.Duration) {
	middleware.Public(w, fmt.Sprintf("public, max-age=%d", int(age/time.Second)))
	h := w.Header()
	h.Set("ETag", d.etag)
	if matches(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	_, _ = w.Write(d.body) // the caller may have left
}

// matches compares weakly, as RFC 9110 section 13.1.2 wants for If-None-Match.
func matches(headers []string, etag string) bool {
	for _, line := range headers {
		for one := range strings.SplitSeq(line, ",") {
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			if one == etag || one == "*" {
				return true
			}
		}
	}
	return false
}
