package dpop

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Request is what a proof is made for.
type Request struct {
	Method string
	URL    string // the address; query and fragment are left out (RFC 9449 section 4.2)
	Token  string // the access token that goes with it, "" for none
	Nonce  string // as the server gave it, "" for none
	Now    time.Time
}

// Sign makes a proof with a client's key. Each has an id of its own, so each request
// needs one of its own.
func Sign(key *jose.Key, r Request) (string, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	address := r.URL
	if end := strings.IndexAny(address, "?#"); end >= 0 {
		address = address[:end]
	}
	claims := map[string]any{
		"jti": base64.RawURLEncoding.EncodeToString(id[:]), "htm": r.Method, "htu": address, "iat": r.Now.Unix(),
	}
	if r.Token != "" {
		claims["ath"] = Hash(r.Token)
	}
	if r.Nonce != "" {
		claims["nonce"] = r.Nonce
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode proof: %w", err)
	}
	text, err := jose.SignProof(key, Type, body)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	return text, nil
}
