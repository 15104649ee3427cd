package ssf

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/wafer-auth/wafer/internal/web/middleware"
)

// The ways of delivery, as SSF names them.
const (
	pushURN = "urn:ietf:rfc:8935"
	pollURN = "urn:ietf:rfc:8936"
)

// metadata is the transmitter's configuration (SSF 1.0 section 7.1).
type metadata struct {
	SpecVersion   string   `json:"spec_version"`
	Issuer        string   `json:"issuer"`
	JWKS          string   `json:"jwks_uri"`
	Methods       []string `json:"delivery_methods_supported"`
	Configuration string   `json:"configuration_endpoint"`
	Status        string   `json:"status_endpoint"`
	Add           string   `json:"add_subject_endpoint"`
	Remove        string   `json:"remove_subject_endpoint"`
	Verification  string   `json:"verification_endpoint"`
	Authorization []scheme `json:"authorization_schemes"`
	Subjects      string   `json:"default_subjects"`
}

type scheme struct {
	Spec string `json:"spec_urn"`
}

// metadataOf makes the document from the issuer alone: a Host header never gets
// near it.
func metadataOf(issuer string) []byte {
	body, err := json.Marshal(metadata{
		SpecVersion: "1_0", Issuer: issuer, JWKS: issuer + "/.well-known/jwks.json", Methods: []string{pushURN, pollURN},
		Configuration: issuer + streamPath, Status: issuer + statusPath, Add: issuer + addPath, Remove: issuer + removePath,
		Verification: issuer + verifyPath, Authorization: []scheme{{"urn:ietf:rfc:6749"}}, Subjects: "ALL",
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	return body
}

func (s *Surface) sendMetadata(w http.ResponseWriter, _ *http.Request) {
	middleware.Public(w, "public, max-age=300")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.metadata)))
	_, _ = w.Write(s.metadata) // the caller may have left
}
