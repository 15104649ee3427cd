package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Registrar lets clients register themselves. See admin.Service.
type Registrar interface {
	Register(ctx context.Context, in admin.Enrollment) (admin.Registered, error)
	RegisteredClient(ctx context.Context, id, token string) (admin.Registered, error)
	Reregister(ctx context.Context, id, token string, metadata json.RawMessage) (admin.Registered, error)
	Unregister(ctx context.Context, id, token string) error
}

// register adds a client (RFC 7591 section 3).
func (s *Surface) register(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	metadata, err := readMetadata(r)
	if err != nil {
		return err
	}
	out, err := s.Registrar.Register(r.Context(), admin.Enrollment{Metadata: metadata, Token: token, Address: middleware.Address(r.Context())})
	if err != nil {
		return s.notRegistered(w, r, err)
	}
	respond.JSON(w, http.StatusCreated, s.registration(out))
	return nil
}

// registered shows a client what it is registered with (RFC 7592 section 2.1).
func (s *Surface) registered(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	out, err := s.Registrar.RegisteredClient(r.Context(), r.PathValue("client_id"), token)
	if err != nil {
		return s.notRegistered(w, r, err)
	}
	respond.JSON(w, http.StatusOK, s.registration(out))
	return nil
}

// reregister replaces all of it (RFC 7592 section 2.2).
func (s *Surface) reregister(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	metadata, err := readMetadata(r)
	if err != nil {
		return err
	}
	out, err := s.Registrar.Reregister(r.Context(), r.PathValue("client_id"), token, metadata)
	if err != nil {
		return s.notRegistered(w, r, err)
	}
	respond.JSON(w, http.StatusOK, s.registration(out))
	return nil
}

// unregister removes the client (RFC 7592 section 2.3).
func (s *Surface) unregister(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	if err := s.Registrar.Unregister(r.Context(), r.PathValue("client_id"), token); err != nil {
		return s.notRegistered(w, r, err)
	}
	respond.NoContent(w)
	return nil
}

func bearer(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return "", refuse(grant.InvalidRequest, "Parameters do not belong in the URL.")
	}
	header, err := middleware.Authorization(r)
	return middleware.Bearer(header), err
}

func readMetadata(r *http.Request) (json.RawMessage, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, fault.New(fault.Unsupported, "Send client metadata as application/json.")
	}
	return io.ReadAll(r.Body)
}

// notRegistered says what is wrong with a token as RFC 6750 section 3 wants it said.
// Other refusals are handed on.
func (s *Surface) notRegistered(w http.ResponseWriter, r *http.Request, err error) error {
	var why *grant.Error
	if !errors.As(err, &why) || why.Code != oidc.InvalidToken {
		return err
	}
	challenge := `Bearer realm="wafer"`
	if r.Header.Get("Authorization") != "" {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	respond.Refuse(w, r, respond.Refusal{Status: http.StatusUnauthorized, Code: why.Code, Message: why.Description, OAuth: true})
	return nil
}

// registration is everything that a client is registered with, defaults included (RFC
// 7591 section 3.2.1).
func (s *Surface) registration(in admin.Registered) map[string]any {
	c := in.Client
	out := map[string]any{}
	o := c.OAuth.Clone()
	o.Profile, o.Consents, o.Assertions = "", "", nil // what an operator says of it
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err) // it was checked when it was registered
	}
	maps.Copy(out, map[string]any{
		"client_id": c.ID, "client_id_issued_at": c.CreatedAt.Unix(), "client_name": c.Name, "redirect_uris": c.RedirectURIs,
		"grant_types": c.Grants, "response_types": []string{"code"}, "token_endpoint_auth_method": c.Auth(), "subject_type": "public",
		"id_token_signed_response_alg": c.IDTokenAlg(), "scope": scopeOf(c.APIs),
		"registration_access_token": in.Token, "registration_client_uri": s.Issuer + registerPath + "/" + c.ID,
	})
	if c.BackchannelLogoutURI != "" {
		out["backchannel_logout_uri"], out["backchannel_logout_session_required"] = c.BackchannelLogoutURI, c.BackchannelLogoutSession
	}
	if in.Secret != "" {
		out["client_secret"], out["client_secret_expires_at"] = in.Secret, 0 // it does not expire
	}
	return out
}

// scopeOf is every scope that a client may ask for, of whichever API.
func scopeOf(apis map[string][]string) string {
	all := slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Values(apis))...)))
	return strings.Join(slices.Compact(all), " ")
}
