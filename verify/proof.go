package verify

import (
	"context"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Confirmation is the key that a credential is bound to (cnf, RFC 7800): of whoever
// shows it, that key has to be proved. The zero value is none: it is a bearer token.
type Confirmation struct {
	JKT string // thumbprint of the key of a DPoP proof (RFC 9449 section 6)
	X5T string // SHA-256 of the client's certificate, base64url (RFC 8705 section 3.1)
}

// IsZero reports whether there is no key.
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

// Bound is Token for whoever can tell what the caller proves: prove is asked, after all
// else was found good, what the token is bound to, the zero value for a bearer token.
// Its error refuses the token; it should match one of the Err variables. Package
// httpauth does this for HTTP.
func (v *Verifier) Bound(ctx context.Context, token string, prove func(Confirmation) error) (*Identity, error) {
	id, err := v.token(ctx, token, question{})
	if err != nil {
		return nil, err
	}
	return proved(id, prove)
}

// BoundOnce is TokenOnce with Bound's question. A token whose proof is wrong is not
// used up.
func (v *Verifier) BoundOnce(ctx context.Context, token string, prove func(Confirmation) error) (*Identity, error) {
	if v.server == nil {
		return nil, unavailable("use up a token", errNoServer)
	}
	return v.token(ctx, token, question{once: true, api: v.audience, prove: prove})
}

// bearer is the proof that needs none: nothing may be bound.
func bearer(c Confirmation) error {
	if !c.IsZero() {
		return ErrBinding
	}
	return nil
}

func proved(id *Identity, prove func(Confirmation) error) (*Identity, error) {
	if err := prove(id.Confirm); err != nil {
		return nil, err
	}
	return id, nil
}

// unproved refuses what is bound to a key, for callers that prove none.
func unproved(id *Identity, err error) (*Identity, error) {
	if err == nil && !id.Confirm.IsZero() {
		return nil, ErrBinding
	}
	return id, err
}

// readConfirmation reads cnf. A member that is not understood refuses the credential:
// it would pass for bound to less than it is.
func readConfirmation(raw string) (c Confirmation, err error) {
	members, err := jose.Members([]byte(raw))
	if err != nil || len(members) == 0 {
		return Confirmation{}, ErrBinding
	}
	for _, m := range members {
		switch m.Name {
		case "jkt":
			c.JKT, err = jose.String(m.Value)
			if c.JKT == "" {
				return Confirmation{}, ErrBinding
			}
		case "x5t#S256":
			c.X5T, err = jose.String(m.Value)
			if c.X5T == "" {
				return Confirmation{}, ErrBinding
			}
		default:
			return Confirmation{}, ErrBinding
		}
		if err != nil {
			return Confirmation{}, ErrBinding
		}
	}
	return c, nil
}
