package manage

import (
	"encoding/json"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/verify/bound"
)

// The bodies of requests and answers, as they stand on the wire. Secrets and
// their hashes are in none of them, but for the few answers that show a secret
// the one time it exists.

// List is one page of rows. Next is what to send as "after" for the next page;
// it is left out on the last.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// User is an account.
type User struct {
	ID          string          `json:"id"`
	Login       string          `json:"login"`
	Name        string          `json:"name,omitempty"`
	Roles       []string        `json:"roles"`
	Disabled    bool            `json:"disabled"`
	HasPassword bool            `json:"has_password"`
	Profile     account.Profile `json:"profile,omitzero"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Version     int64           `json:"version"`
}

// NewUser adds a user, with a password or an imported hash.
type NewUser struct {
	Login        string   `json:"login"`
	Name         string   `json:"name"`
	Password     string   `json:"password"`
	PasswordHash string   `json:"password_hash"`
	Roles        []string `json:"roles,omitempty"`
	Disabled     bool     `json:"disabled"`

	// Profile is an object of the claims of account.Profile.
	Profile json.RawMessage `json:"profile,omitempty"`
}

// UserEdit changes the members that are there.
type UserEdit struct {
	Login    *string   `json:"login,omitempty"`
	Name     *string   `json:"name,omitempty"`
	Roles    *[]string `json:"roles,omitempty"`
	Disabled *bool     `json:"disabled,omitempty"`
	Password *string   `json:"password,omitempty"`

	PasswordHash *string `json:"password_hash,omitempty"`

	// Profile changes the claims that are in it; null takes one away.
	Profile json.RawMessage `json:"profile,omitempty"`
}

// Client is an application.
type Client struct {
	ID           string              `json:"id"`
	Name         string              `json:"name"`
	Kind         string              `json:"kind"`
	FirstParty   bool                `json:"first_party"`
	RedirectURIs []string            `json:"redirect_uris"`
	Origins      []string            `json:"origins"`
	Grants       []string            `json:"grants"`
	APIs         map[string][]string `json:"apis"`
	Serves       []string            `json:"serves"`
	Bind         bound.Policy        `json:"bind"`

	BackchannelLogoutURI     string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSession bool   `json:"backchannel_logout_session_required,omitempty"`

	OAuth          client.OAuth `json:"oauth"`
	OldSecretUntil *time.Time   `json:"old_secret_until,omitempty"` // how long the secret before this one works
	Source         string       `json:"source,omitempty"`           // who registered it: registration, document; an operator when left out

	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Version   int64     `json:"version"`
}

// NewClient adds a client. Without Secret a confidential one gets a secret, which
// the answer shows once.
type NewClient struct {
	ID           string              `json:"id"`
	Name         string              `json:"name"`
	Kind         string              `json:"kind"`
	FirstParty   bool                `json:"first_party"`
	Secret       string              `json:"secret"`
	RedirectURIs []string            `json:"redirect_uris,omitempty"`
	Origins      []string            `json:"origins,omitempty"`
	Grants       []string            `json:"grants,omitempty"`
	APIs         map[string][]string `json:"apis,omitempty"`
	Serves       []string            `json:"serves,omitempty"`
	Bind         bound.Policy        `json:"bind,omitzero"`

	BackchannelLogoutURI     string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSession bool   `json:"backchannel_logout_session_required,omitempty"`

	// OAuth is an object in the names of client.OAuth.
	OAuth json.RawMessage `json:"oauth,omitempty"`

	Disabled bool `json:"disabled"`
}

// ClientEdit changes the members that are there.
type ClientEdit struct {
	Name         *string              `json:"name,omitempty"`
	Kind         *string              `json:"kind,omitempty"`
	Secret       *string              `json:"secret,omitempty"`
	FirstParty   *bool                `json:"first_party,omitempty"`
	RedirectURIs *[]string            `json:"redirect_uris,omitempty"`
	Origins      *[]string            `json:"origins,omitempty"`
	Grants       *[]string            `json:"grants,omitempty"`
	APIs         *map[string][]string `json:"apis,omitempty"`
	Serves       *[]string            `json:"serves,omitempty"`
	Bind         *bound.Policy        `json:"bind,omitempty"`

	BackchannelLogoutURI     *string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSession *bool   `json:"backchannel_logout_session_required,omitempty"`

	// OAuth changes the members that are in it; null takes one away.
	OAuth json.RawMessage `json:"oauth,omitempty"`

	Disabled *bool `json:"disabled,omitempty"`

	// EndTokens also takes back everything the client was given, with a new secret,
	// method or key.
	EndTokens bool `json:"end_tokens,omitempty"`
}

// ClientAdded answers an added client. Secret is there when Wafer made it, and
// never again.
type ClientAdded struct {
	Client
	Secret string `json:"secret,omitempty"`
}

// SecretRotation asks for a new client secret. Stolen also takes back everything
// the client was given. Overlap, such as 24h, is how long the old secret works beside
// the new one.
type SecretRotation struct {
	Stolen  bool   `json:"stolen"`
	Overlap string `json:"overlap,omitempty"`
}

// ClientSecret is a client's new secret, shown once.
type ClientSecret struct {
	ID             string     `json:"id"`
	Secret         string     `json:"secret"`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty"`
}

// API is a protected service.
type API struct {
	ID        string    `json:"id"`
	Audience  string    `json:"audience"`
	Name      string    `json:"name"`
	Token     Token     `json:"token"`
	Scopes    []string  `json:"scopes"`
	Stale     string    `json:"stale"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Version   int64     `json:"version"`
}

// Token says how the access tokens of an API are made. Lifetime reads like 5m
// or 1h30m.
type Token struct {
	Format   string   `json:"format,omitempty"`
	Alg      string   `json:"alg,omitempty"`
	Lifetime string   `json:"lifetime,omitempty"`
	Encrypt  *Encrypt `json:"encrypt,omitempty"`

	// StatusList says whether tokens name their place in a status list.
	StatusList *bool `json:"status_list,omitempty"`
}

// Encrypt names the recipient of encrypted tokens by its public key.
type Encrypt struct {
	Alg string          `json:"alg"`
	Enc string          `json:"enc"`
	JWK json.RawMessage `json:"jwk"`
}

// NewAPI adds an API. What is left out gets its default.
type NewAPI struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Token    Token    `json:"token"`
	Scopes   []string `json:"scopes,omitempty"`
	Stale    string   `json:"stale"`
	Disabled bool     `json:"disabled"`
}

// APIEdit changes the members that are there. Of Token, too, only what is there
// changes; Encrypt goes when the format is not jwe any more.
type APIEdit struct {
	Name     *string   `json:"name,omitempty"`
	Token    *Token    `json:"token,omitempty"`
	Scopes   *[]string `json:"scopes,omitempty"`
	Stale    *string   `json:"stale,omitempty"`
	Disabled *bool     `json:"disabled,omitempty"`
}

// APISecret is the secret of an HMAC API's key, shown once for each key. The key
// is the ASCII bytes of Secret.
type APISecret struct {
	API    string `json:"api"`
	Key    string `json:"key"`
	Alg    string `json:"alg"`
	Secret string `json:"secret"`
}

// Role is a named set of scopes for each API.
type Role struct {
	ID        string              `json:"id"`
	Scopes    map[string][]string `json:"scopes"`
	CreatedAt time.Time           `json:"created_at"`
	UpdatedAt time.Time           `json:"updated_at"`
	Version   int64               `json:"version"`
}

// NewRole adds a role.
type NewRole struct {
	ID     string              `json:"id"`
	Scopes map[string][]string `json:"scopes"`
}

// RoleEdit replaces the scopes of a role.
type RoleEdit struct {
	Scopes *map[string][]string `json:"scopes,omitempty"`
}

// Key is a signing key without its private part. JWK is the public one; an HMAC
// key has none.
type Key struct {
	ID        string          `json:"id"`
	API       string          `json:"api"`
	Alg       string          `json:"alg"`
	State     string          `json:"state"`
	CreatedAt time.Time       `json:"created_at"`
	ActiveAt  *time.Time      `json:"active_at,omitempty"`
	RetiredAt *time.Time      `json:"retired_at,omitempty"`
	RemovedAt *time.Time      `json:"removed_at,omitempty"`
	ReadAt    *time.Time      `json:"read_at,omitempty"` // when an HMAC secret was read
	JWK       json.RawMessage `json:"jwk,omitempty"`
}

// Rotation asks for a new key of an API. Now makes it sign at once, although
// verifiers may hold an older key set.
type Rotation struct {
	API string `json:"api"`
	Now bool   `json:"now"`
}

// Retirement takes a key out of use. Compromised refuses every token that it
// ever signed.
type Retirement struct {
	Compromised bool `json:"compromised"`
}

// Session is one login of a user.
type Session struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Client    string    `json:"client,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	AuthTime  time.Time `json:"auth_time"`
	AMR       []string  `json:"amr"`
	SeenAt    time.Time `json:"seen_at"`
	IdleUntil time.Time `json:"idle_until"`
	ExpiresAt time.Time `json:"expires_at"`
	Address   string    `json:"address,omitempty"`
	Agent     string    `json:"agent,omitempty"`
}

// NewRevocation takes back exactly one thing. Ack says how far the revocation
// must have come before the answer; "durable" is the default.
type NewRevocation struct {
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"`
	Client  string `json:"client,omitempty"`
	Token   string `json:"token,omitempty"`
	Key     string `json:"key,omitempty"`
	API     string `json:"api,omitempty"`
	Ack     string `json:"ack,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Revoked answers a revocation: its position in the log.
type Revoked struct {
	Seq    int64   `json:"seq"`
	Ack    string  `json:"ack"`
	TookMS float64 `json:"took_ms"`
}

// Revocation is one entry of the revocation log.
type Revocation struct {
	Seq       int64     `json:"seq"`
	Kind      string    `json:"kind"`
	Key       string    `json:"key"`
	At        time.Time `json:"at"`
	KeepUntil time.Time `json:"keep_until"`
	Reason    string    `json:"reason,omitempty"`
}

// Event is one line of the audit log.
type Event struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Action  string    `json:"action"`
	Actor   string    `json:"actor,omitempty"`
	Target  string    `json:"target,omitempty"`
	Client  string    `json:"client,omitempty"`
	Session string    `json:"session,omitempty"`
	Address string    `json:"address,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

// NewApply is a declared set-up. Dir is where the files that it names are; only
// the local command line may name it.
type NewApply struct {
	YAML string `json:"yaml"`
	Dir  string `json:"dir,omitempty"`
}

// Applied says what a declared set-up changed, and what it warns of.
type Applied struct {
	Changes  []string `json:"changes"`
	Warnings []string `json:"warnings"`
}

// TokenQuestion asks what a credential is. The answer is grant.Explanation.
type TokenQuestion struct {
	Token string `json:"token"`
}
