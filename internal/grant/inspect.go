package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/token"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Manager is who calls the management API.
type Manager struct {
	Subject  string // user id, or client id when no user is there
	ClientID string
	Scopes   []string
}

// Manager returns whom a management access token stands for. The token is
// checked against the store at each call.
func (s *Service) Manager(ctx context.Context, bearer string) (Manager, error) {
	h, ok, err := s.read(ctx, bearer)
	if err != nil {
		return Manager{}, err
	}
	refused := fault.New(fault.Unauthenticated, "The access token is not valid for the management API.")
	if !ok || h.apiID != api.Management {
		return Manager{}, refused
	}
	why, err := s.alive(ctx, h, s.Now())
	if err != nil {
		return Manager{}, err
	}
	if why != "" {
		return Manager{}, fault.Wrap(fmt.Errorf("token %s: %s", h.ID, why), fault.Unauthenticated, refused.Public)
	}
	return Manager{Subject: h.Subject, ClientID: h.ClientID, Scopes: strings.Fields(h.Scope)}, nil
}

// Explanation is what `wafer token inspect` shows: what a token says, and the
// checks in the order a verifier makes them, up to the first that fails.
type Explanation struct {
	Kind   string          `json:"kind"` // "access token", "opaque access token", "refresh token", "encrypted token", "not a token"
	Header json.RawMessage `json:"header,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
	Checks []Check         `json:"checks"`
}

// Check is one check and how it went.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Explain looks into any credential that is shown to it. It never fails for what
// the credential holds, and stores and logs nothing of it.
func (s *Service) Explain(ctx context.Context, text string) (Explanation, error) {
	switch {
	case token.IsRefresh(text):
		return s.explainRefresh(ctx, text)
	case token.IsOpaque(text):
		return s.explainHeld(ctx, text, Explanation{Kind: "opaque access token"})
	case jose.IsEncrypted(text):
		return Explanation{Kind: "encrypted token", Checks: []Check{{
			Name: "decrypt", Detail: "only the API that holds the private key can open it",
		}}}, nil
	}
	m, err := jose.Parse(text, jose.Limits{})
	if err != nil {
		return Explanation{Kind: "not a token", Checks: []Check{{Name: "parse", Detail: err.Error()}}}, nil
	}
	e := Explanation{Kind: "access token", Checks: []Check{{Name: "parse", OK: true}}}
	if header, claims, ok := decoded(text); ok {
		e.Header, e.Claims = header, claims
	}
	if ok, err := s.explainSignature(ctx, m, &e); err != nil || !ok {
		return e, err
	}
	return s.explainHeld(ctx, text, e)
}

// explainSignature adds the checks of the header and the signature, and reports
// whether all passed.
func (s *Service) explainSignature(ctx context.Context, m *jose.Message, e *Explanation) (bool, error) {
	if m.Header.Type != token.Type {
		e.Checks = append(e.Checks, Check{Name: "type", Detail: fmt.Sprintf("typ is %q, not %q", m.Header.Type, token.Type)})
		return false, nil
	}
	e.Checks = append(e.Checks, Check{Name: "type", OK: true, Detail: token.Type})
	key, apiID, ok, err := s.Keys.Find(ctx, m.Header.KeyID)
	if err != nil {
		return false, err
	}
	if !ok {
		e.Checks = append(e.Checks, Check{Name: "key", Detail: "no active or retired key has this kid"})
		return false, nil
	}
	e.Checks = append(e.Checks, Check{Name: "key", OK: true, Detail: key.ID() + " for " + apiID})
	if _, err := m.Verify(key); err != nil {
		e.Checks = append(e.Checks, Check{Name: "signature", Detail: err.Error()})
		return false, nil
	}
	e.Checks = append(e.Checks, Check{Name: "signature", OK: true, Detail: string(key.Algorithm())})
	return true, nil
}

func (s *Service) explainHeld(ctx context.Context, text string, e Explanation) (Explanation, error) {
	h, ok, err := s.read(ctx, text)
	if err != nil {
		return Explanation{}, err
	}
	if !ok {
		e.Checks = append(e.Checks, Check{Name: "issuer and audience", Detail: "not a token of this issuer, or not for the API of its key"})
		return e, nil
	}
	if e.Claims == nil {
		if e.Claims, err = h.Claims(); err != nil {
			return Explanation{}, err
		}
	}
	e.Checks = append(e.Checks, Check{Name: "issuer and audience", OK: true, Detail: h.Audience})
	why, err := s.alive(ctx, h, s.Now())
	if err != nil {
		return Explanation{}, err
	}
	e.Checks = append(e.Checks, Check{Name: "expiry, session and revocations", OK: why == "", Detail: why})
	return e, nil
}

func (s *Service) explainRefresh(ctx context.Context, text string) (Explanation, error) {
	e := Explanation{Kind: "refresh token"}
	id, gen, ok := s.Config.Refresh.Decode(text)
	e.Checks = append(e.Checks, Check{Name: "code", OK: ok})
	if !ok {
		return e, nil
	}
	st, err := s.Store.Snapshot(ctx, Query{GrantID: id})
	if err != nil {
		return Explanation{}, fmt.Errorf("read grant: %w", err)
	}
	if st.Grant == nil {
		e.Checks = append(e.Checks, Check{Name: "grant", Detail: "ended or unknown"})
		return e, nil
	}
	e.Checks = append(e.Checks, Check{Name: "grant", OK: true, Detail: id + " of client " + st.Grant.ClientID},
		Check{Name: "generation", OK: gen == st.Grant.Gen, Detail: fmt.Sprintf("%d shown, %d is current", gen, st.Grant.Gen)})
	return e, nil
}

// decoded returns the header and payload of a compact token as they stand, not
// verified: they are for showing only.
func decoded(text string) (header, claims json.RawMessage, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, nil, false
	}
	h, err1 := jose.DecodeSegment(parts[0])
	c, err2 := jose.DecodeSegment(parts[1])
	if err1 != nil || err2 != nil || !json.Valid(h) || !json.Valid(c) {
		return nil, nil, false
	}
	return h, c, true
}
