package admin

import (
	"context"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// MostOverlap is how long a client's old secret may work beside its new one.
const MostOverlap = 30 * 24 * time.Hour

// secretCode is what is stored of a secret. Package grant computes it likewise.
func secretCode(k *opaque.Key, id, secret string) opaque.Digest {
	return k.MAC("client", id, secret)
}

// withSecret checks a secret and stores its code in the client.
func (s *Service) withSecret(c client.Client, secret string) (client.Client, error) {
	if secret == "" {
		c.SecretHash = opaque.Digest{}
		return c, nil
	}
	if len(secret) < 20 || len(secret) > 200 {
		return client.Client{}, fault.New(fault.Invalid, "Client "+c.ID+": a secret has 20 to 200 characters.")
	}
	for _, r := range secret {
		if r < 0x21 || r > 0x7e { // VSCHAR without space, RFC 6749 appendix A.2
			return client.Client{}, fault.New(fault.Invalid, "Client "+c.ID+": a secret holds visible ASCII characters only.")
		}
	}
	c.SecretHash = secretCode(s.Secrets, c.ID, secret)
	return c, nil
}

// editedSecret is the secret of next: the new one, with the old one beside it for as
// long as the edit says; none, when the client proves itself by something else.
func (s *Service) editedSecret(old, next client.Client, e ClientEdit) (client.Client, error) {
	secret := ""
	assign(&secret, e.Secret)
	if e.Overlap < 0 || e.Overlap > MostOverlap {
		return client.Client{}, fault.New(fault.Invalid, "The overlap of two secrets must be between 0 and 30 days.")
	}
	if e.Overlap > 0 && (secret == "" || e.EndTokens) {
		return client.Client{}, fault.New(fault.Invalid, "An overlap goes with a new secret, and not with one that is stolen.")
	}
	if !next.KeepsSecret() {
		if secret != "" {
			return client.Client{}, fault.New(fault.Invalid, "Client "+next.ID+" does not prove itself by a secret: it cannot have one.")
		}
		next.SecretHash, next.OldSecretHash, next.OldSecretUntil = opaque.Digest{}, opaque.Digest{}, time.Time{}
	}
	if secret != "" {
		var err error
		if next, err = s.withSecret(next, secret); err != nil {
			return client.Client{}, err
		}
	}
	if now := s.Now(); next.SecretHash != old.SecretHash || !now.Before(next.OldSecretUntil) {
		next.OldSecretHash, next.OldSecretUntil = opaque.Digest{}, time.Time{}
		if e.Overlap > 0 && next.SecretHash != old.SecretHash && !old.SecretHash.IsZero() {
			next.OldSecretHash, next.OldSecretUntil = old.SecretHash, now.Add(e.Overlap)
		}
	}
	if e.EndTokens && !provesAnew(old, next) {
		return client.Client{}, fault.New(fault.Invalid, "Ending the client's tokens goes with a new secret, method or key. To end them alone, revoke the client.")
	}
	return next, nil
}

// provesAnew reports whether the client proves who it is by something else than before.
func provesAnew(old, next client.Client) bool {
	a, b := normalOAuth(old.OAuth), normalOAuth(next.OAuth)
	names := func(o client.OAuth) [5]string {
		return [5]string{o.TLSSubjectDN, o.TLSSANDNS, o.TLSSANURI, o.TLSSANIP, o.TLSSANEmail}
	}
	return next.SecretHash != old.SecretHash || old.Auth() != next.Auth() || string(a.JWKS) != string(b.JWKS) || a.JWKSURI != b.JWKSURI || names(a) != names(b)
}

// RotateClientSecret gives a client a new secret and returns it, once. The old one
// works for overlap longer, at most MostOverlap; with 0 it stops at once. What the
// client was given lives on.
func (s *Service) RotateClientSecret(ctx context.Context, by By, id string, overlap time.Duration) (string, error) {
	return s.rotateSecret(ctx, by, id, ClientEdit{Overlap: overlap})
}

// RotateStolenSecret is RotateClientSecret for a secret that somebody else has: it
// stops at once, and everything the client was given is taken back in the same
// transaction.
func (s *Service) RotateStolenSecret(ctx context.Context, by By, id string) (string, error) {
	return s.rotateSecret(ctx, by, id, ClientEdit{EndTokens: true})
}

func (s *Service) rotateSecret(ctx context.Context, by By, id string, e ClientEdit) (string, error) {
	c, err := s.findClient(ctx, id)
	if err != nil {
		return "", err
	}
	switch {
	case c.Kind != client.Confidential:
		return "", fault.New(fault.Conflict, "Client "+id+" is public: it has no secret.")
	case !c.KeepsSecret():
		return "", fault.New(fault.Conflict, "Client "+id+" proves itself by "+string(c.Auth())+": it has no secret.")
	}
	secret := opaque.Secret()
	e.Secret = &secret
	if _, err := s.EditClient(ctx, by, id, e); err != nil {
		return "", err
	}
	return secret, nil
}

// withoutSecret is a client for others to see: what is stored of secrets never leaves.
func withoutSecret(c client.Client) client.Client {
	c.SecretHash, c.OldSecretHash, c.RegistrationHash = opaque.Digest{}, opaque.Digest{}, opaque.Digest{}
	return c
}
