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

	"github.com/wafer-auth/wafer/internal/statuslist"
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
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	StatusLists           string   `json:"status_list_aggregation_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	ClientDocuments       bool     `json:"client_id_metadata_document_supported,omitempty"`
	metadataOfClients
	metadataOfSignIn
	metadataOfLogout
}

// document is an answer made once.
type document struct {
	body        []byte
	etag        string
	age, length string // header values
}

func documentOf(body []byte, etag string, age time.Duration) *document {
	return &document{body, etag, fmt.Sprintf("public, max-age=%d", int(age/time.Second)), strconv.Itoa(len(body))}
}

// document makes the metadata from the configuration alone: a Host header never gets
// near it.
func (s *Surface) document() *document {
	registration := ""
	if s.Registrar != nil {
		registration = s.Issuer + registerPath
	}
	body, err := json.Marshal(metadataOf{
		RegistrationEndpoint: registration, ClientDocuments: s.Documents != nil,
		Issuer: s.Issuer, TokenEndpoint: s.Issuer + tokenPath, JWKS: s.Issuer + "/.well-known/jwks.json", GrantTypes: grantNames(),
		RevocationEndpoint: s.Issuer + revokePath, IntrospectionEndpoint: s.Issuer + introspectPath, StatusLists: s.Issuer + statuslist.Path,
		metadataOfClients: s.clientMetadata(), metadataOfSignIn: signInMetadata(s.Issuer),
		metadataOfLogout: logoutMetadata(s.Issuer, s.Locales),
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(body)
	return documentOf(body, `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`, metadataAge)
}

func (s *Surface) metadata(w http.ResponseWriter, r *http.Request) error {
	s.discovery.send(w, r)
	return nil
}

// jwks sends the key set of now. It is the same for months; what of it is made
// here is made again when its tag is another.
func (s *Surface) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag := s.Keys.JWKS()
	if !strings.HasPrefix(etag, `"`) {
		etag = `"` + etag + `"`
	}
	d := s.keySet.Load()
	if d == nil || d.etag != etag {
		d = documentOf(body, etag, s.Keys.MaxAge())
		s.keySet.Store(d)
	}
	d.send(w, r)
	return nil
}

func (d *document) send(w http.ResponseWriter, r *http.Request) {
	middleware.Public(w, d.age)
	h := w.Header()
	h.Set("ETag", d.etag)
	if matches(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", d.length)
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
