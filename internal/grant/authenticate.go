package grant

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/peerkeys"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ticket"
	"github.com/wafer-auth/wafer/verify/jose"
)

// PeerKeys finds public keys of clients. See peerkeys.Keys.
type PeerKeys interface {
	Find(ctx context.Context, src peerkeys.Source, kid string, alg jose.Algorithm) ([]*jose.Key, error)
	Certified(ctx context.Context, src peerkeys.Source, leaf *x509.Certificate) error
}

// Seen remembers what counts once, over all nodes. See ticket.Store.
type Seen interface {
	AddTicket(ctx context.Context, t ticket.Ticket, fx revoke.Effects) (bool, error)
}

// Credentials are how a client proves who it is, as they were sent.
type Credentials struct {
	ID     string // may be empty beside an assertion, which says it too
	Secret string
	Basic  bool // sent in the Authorization header
	// Assertion is a JWT of the client's, and AssertionType what it is said to be (RFC
	// 7521 section 4.2).
	Assertion     string
	AssertionType string
	Certificate   *Certificate // that the connection was made with; nil: without one
}

// Certificate is what a client showed while the connection was made: it holds the
// private key.
type Certificate struct {
	Leaf *x509.Certificate
	// Chained says that it leads to a root whose certificates clients are known by.
	Chained bool
}

// Thumbprint returns the x5t#S256 of the certificate, "" for none (RFC 8705 section
// 3.1).
func (c *Certificate) Thumbprint() string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Leaf.Raw)
	return jose.EncodeSegment(sum[:])
}

// failed is the one refusal of all credentials that nobody vouches for.
func failed() error { return refuse(InvalidClient, "Client authentication failed.") }

// Authenticate returns the client that the credentials prove. They must be of the
// method that the client is registered with, and of no other beside it: a secret that
// leaked is worth nothing where a key is expected. A public client has an id and
// nothing else. Every refusal is one InvalidClient, in one time; only who signed an
// assertion with the right key is told what else is wrong with it.
func (s *Service) Authenticate(ctx context.Context, c Credentials) (client.Client, error) {
	m, ok := c.message()
	if !ok {
		return client.Client{}, failed()
	}
	if c.ID == "" {
		c.ID = subjectOf(m)
	}
	st, err := s.Store.Snapshot(ctx, Query{ClientID: c.ID})
	if err != nil {
		return client.Client{}, fmt.Errorf("read client: %w", err)
	}
	match := s.knows(st.Client, c)
	if st.Client == nil || st.Client.Disabled {
		return client.Client{}, failed()
	}
	how, ok := methodOf(*st.Client, c)
	if !ok {
		return client.Client{}, failed()
	}
	switch how {
	case client.AuthNone:
		err = nil
	case client.AuthSecretBasic, client.AuthSecretPost:
		if !match {
			err = failed()
		}
	case client.AuthPrivateKeyJWT:
		err = s.asserted(ctx, *st.Client, m)
	default:
		err = s.certified(ctx, *st.Client, how, c.Certificate)
	}
	if err != nil {
		return client.Client{}, err
	}
	return *st.Client, nil
}

// knows compares the secret with those that are registered, in the same time whether
// there are any.
func (s *Service) knows(c *client.Client, in Credentials) bool {
	var now, old opaque.Digest
	until := time.Time{}
	if c != nil {
		now, old, until = c.SecretHash, c.OldSecretHash, c.OldSecretUntil
	}
	code := SecretCode(s.Secrets, in.ID, in.Secret)
	isNow, isOld := code.Equal(now), code.Equal(old)
	return isNow || isOld && s.Now().Before(until)
}

// methodOf returns the method that credentials are of, if the client may use it.
func methodOf(c client.Client, in Credentials) (client.AuthMethod, bool) {
	sent := client.AuthNone
	switch {
	case in.Assertion != "" && (in.Secret != "" || in.Basic):
		return "", false // RFC 6749 section 2.3: one method
	case in.Assertion != "":
		sent = client.AuthPrivateKeyJWT
	case in.Basic:
		sent = client.AuthSecretBasic
	case in.Secret != "":
		sent = client.AuthSecretPost
	}
	registered := c.Auth()
	if sent.BySecret() && c.Holds() == client.FAPI2 {
		return "", false // FAPI 2.0 Security Profile section 5.3.2.1
	}
	switch registered {
	case client.AuthNone:
		return sent, sent == registered && c.Kind == client.Public
	case client.AuthTLS, client.AuthSelfSignedTLS:
		return registered, sent == client.AuthNone && in.Certificate != nil
	case "":
		return sent, sent.BySecret() && c.Kind == client.Confidential
	}
	return sent, sent == registered && c.Kind == client.Confidential
}

// certified checks the certificate of a connection (RFC 8705 section 2).
func (s *Service) certified(ctx context.Context, c client.Client, how client.AuthMethod, shown *Certificate) error {
	if how == client.AuthTLS {
		if !shown.Chained || !c.OAuth.Names(shown.Leaf) {
			return failed()
		}
		return nil
	}
	if s.Peers == nil {
		return failed()
	}
	return ofPeer(s.Peers.Certified(ctx, peerkeys.Source{JWKS: c.OAuth.JWKS, URI: c.OAuth.JWKSURI}, shown.Leaf))
}

// ofPeer makes of an error of PeerKeys what a client is told.
func ofPeer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, peerkeys.ErrNoKey):
		return failed()
	case errors.Is(err, peerkeys.ErrUnavailable):
		return fault.Wrap(err, fault.Unavailable, "The keys of the client are not at hand. Try again.").Retry(10 * time.Second)
	}
	return fmt.Errorf("find the client's keys: %w", err)
}

// SecretCode is what is stored of a client's secret. It is keyed, because people
// choose secrets: a copy of the database alone does not let anybody guess them.
func SecretCode(k *opaque.Key, clientID, secret string) opaque.Digest {
	return k.MAC("client", clientID, secret)
}
