package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

// The documents, field for field as the things they keep: a field that is added
// there does not compile here until it has a name. A name once given stays, and
// an older document lacks the newer fields.

type userDocument struct {
	ID                string          `json:"-"`
	Login             string          `json:"login"`
	Canonical         string          `json:"-"`
	Name              string          `json:"name"`
	Profile           account.Profile `json:"profile,omitzero"`
	PasswordHash      string          `json:"-"`
	PasswordChangedAt time.Time       `json:"password_changed_at"`
	Roles             []string        `json:"roles"`
	Disabled          bool            `json:"disabled"`
	CreatedAt         time.Time       `json:"created_at"`
	UpdatedAt         time.Time       `json:"updated_at"`
	Version           int64           `json:"-"`
}

func userBody(u account.User) (string, error) {
	d := userDocument(u)
	d.PasswordChangedAt, d.CreatedAt, d.UpdatedAt = when(d.PasswordChangedAt), when(d.CreatedAt), when(d.UpdatedAt)
	return encode(d)
}

func userOf(body string) (account.User, error) {
	var d userDocument
	err := json.Unmarshal([]byte(body), &d)
	return account.User(d), err
}

type clientDocument struct {
	ID           string              `json:"-"`
	Name         string              `json:"name"`
	Kind         client.Kind         `json:"kind"`
	FirstParty   bool                `json:"first_party"`
	SecretHash   opaque.Digest       `json:"-"`
	RedirectURIs []string            `json:"redirect_uris"`
	Origins      []string            `json:"origins"`
	Grants       []string            `json:"grants"`
	APIs         map[string][]string `json:"apis"`
	Serves       []string            `json:"serves"`
	Bind         bound.Policy        `json:"bind,omitzero"`

	OldSecretHash  opaque.Digest `json:"-"`
	OldSecretUntil time.Time     `json:"old_secret_until,omitzero"`

	OAuth            client.OAuth  `json:"oauth,omitzero"`
	Source           client.Source `json:"source,omitempty"`
	RegistrationHash opaque.Digest `json:"-"`

	BackchannelLogoutURI     string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSession bool   `json:"backchannel_logout_session_required,omitempty"`

	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Version   int64     `json:"-"`
}

type storedClient struct {
	clientDocument
	Secret       []byte `json:"secret_hash,omitempty"`
	OldSecret    []byte `json:"old_secret_hash,omitempty"`
	Registration []byte `json:"registration_hash,omitempty"`
}

// digests are the digests of a client, each with its place in the document.
func (d *storedClient) digests() map[*opaque.Digest]*[]byte {
	return map[*opaque.Digest]*[]byte{&d.SecretHash: &d.Secret, &d.OldSecretHash: &d.OldSecret, &d.RegistrationHash: &d.Registration}
}

func clientBody(c client.Client) (string, error) {
	d := storedClient{clientDocument: clientDocument(c)}
	for digest, place := range d.digests() {
		if !digest.IsZero() {
			*place = digest[:]
		}
	}
	d.CreatedAt, d.UpdatedAt = when(d.CreatedAt), when(d.UpdatedAt)
	if !d.OldSecretUntil.IsZero() {
		d.OldSecretUntil = when(d.OldSecretUntil)
	}
	return encode(d)
}

func clientOf(body string) (client.Client, error) {
	var d storedClient
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		return client.Client{}, err
	}
	for digest, place := range d.digests() {
		if *place != nil && copy(digest[:], *place) != len(digest) {
			return client.Client{}, fmt.Errorf("the digest of a secret has %d bytes", len(*place))
		}
	}
	return client.Client(d.clientDocument), nil
}

type apiDocument struct {
	ID        string    `json:"-"`
	Name      string    `json:"name"`
	Token     api.Token `json:"-"`
	Scopes    []string  `json:"scopes"`
	Stale     api.Stale `json:"stale"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Version   int64     `json:"-"`
}

type tokenDocument struct {
	Format     api.Format     `json:"format"`
	Alg        jose.Algorithm `json:"alg"`
	Lifetime   time.Duration  `json:"lifetime_ns"`
	Encrypt    *api.Encrypt   `json:"-"`
	StatusList bool           `json:"status_list,omitempty"`
}

type encryptDocument struct {
	Alg string          `json:"alg"`
	Enc string          `json:"enc"`
	JWK json.RawMessage `json:"jwk"`
}

type storedAPI struct {
	apiDocument
	Format  tokenDocument    `json:"token"`
	Encrypt *encryptDocument `json:"encrypt,omitempty"`
}

func apiBody(a api.API) (string, error) {
	d := storedAPI{apiDocument: apiDocument(a), Format: tokenDocument(a.Token)}
	if a.Token.Encrypt != nil {
		e := encryptDocument(*a.Token.Encrypt)
		d.Encrypt = &e
	}
	d.CreatedAt, d.UpdatedAt = when(d.CreatedAt), when(d.UpdatedAt)
	return encode(d)
}

func apiOf(body string) (api.API, error) {
	var d storedAPI
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		return api.API{}, err
	}
	a := api.API(d.apiDocument)
	a.Token = api.Token(d.Format)
	if d.Encrypt != nil {
		e := api.Encrypt(*d.Encrypt)
		a.Token.Encrypt = &e
	}
	return a, nil
}

type roleDocument struct {
	ID        string              `json:"-"`
	Scopes    map[string][]string `json:"scopes"`
	CreatedAt time.Time           `json:"created_at"`
	UpdatedAt time.Time           `json:"updated_at"`
	Version   int64               `json:"-"`
}

func roleBody(r role.Role) (string, error) {
	d := roleDocument(r)
	d.CreatedAt, d.UpdatedAt = when(d.CreatedAt), when(d.UpdatedAt)
	return encode(d)
}

func roleOf(body string) (role.Role, error) {
	var d roleDocument
	err := json.Unmarshal([]byte(body), &d)
	return role.Role(d), err
}

// encode leaves &, < and > as they are: JSON inside a document comes back as it was
// given, but for the spaces between.
func encode(document any) (string, error) {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return "", fmt.Errorf("encode document: %w", err) // a JWK that its API's Check would have refused
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}
