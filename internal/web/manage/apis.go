package manage

import (
	"net/http"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
	"github.com/wafer-auth/wafer/verify/jose"
)

func (s *Surface) apiShape(a api.API) API {
	return API{
		ID: a.ID, Audience: a.Audience(s.Issuer), Name: a.Name, Token: tokenShape(a.Token), Scopes: filled(a.Scopes), Stale: string(a.Stale),
		Disabled: a.Disabled, CreatedAt: second(a.CreatedAt), UpdatedAt: second(a.UpdatedAt), Version: a.Version,
	}
}

func tokenShape(t api.Token) Token {
	out := Token{Format: string(t.Format), Alg: string(t.Alg), Lifetime: lifetime(t.Lifetime)}
	if t.StatusList {
		out.StatusList = &t.StatusList
	}
	if t.Encrypt != nil {
		out.Encrypt = &Encrypt{Alg: t.Encrypt.Alg, Enc: t.Encrypt.Enc, JWK: t.Encrypt.JWK}
	}
	return out
}

// lifetime writes a duration as people do: 5m, not 5m0s.
func lifetime(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// over lays what was sent over a token's settings.
func (t Token) over(old api.Token) (api.Token, error) {
	if t.Format != "" {
		old.Format = api.Format(t.Format)
	}
	if t.Alg != "" {
		old.Alg = jose.Algorithm(t.Alg)
	}
	if t.Lifetime != "" {
		d, err := time.ParseDuration(t.Lifetime)
		if err != nil {
			return api.Token{}, fault.Wrap(err, fault.Invalid, "token.lifetime reads like 5m or 1h30m.")
		}
		old.Lifetime = d
	}
	if t.StatusList != nil {
		old.StatusList = *t.StatusList
	}
	if t.Encrypt != nil {
		old.Encrypt = &api.Encrypt{Alg: t.Encrypt.Alg, Enc: t.Encrypt.Enc, JWK: t.Encrypt.JWK}
	} else if old.Format != api.JWE {
		old.Encrypt = nil
	}
	return old, nil
}

func (s *Surface) listAPIs(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	rows, err := s.APIs.APIs(r.Context(), p.after, p.limit)
	if err != nil {
		return err
	}
	answer(w, p, rows, s.apiShape, func(a API) string { return a.ID })
	return nil
}

func (s *Surface) showAPI(w http.ResponseWriter, r *http.Request, _ caller) error {
	found, err := s.APIs.API(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, s.apiShape(found))
	return nil
}

func (s *Surface) addAPI(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewAPI
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	token, err := in.Token.over(api.Token{})
	if err != nil {
		return err
	}
	added, err := s.APIs.AddAPI(r.Context(), c.by(), api.API{
		ID: in.ID, Name: in.Name, Token: token, Scopes: in.Scopes, Stale: api.Stale(in.Stale), Disabled: in.Disabled,
	})
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, s.apiShape(added))
	return nil
}

func (s *Surface) editAPI(w http.ResponseWriter, r *http.Request, c caller) error {
	var in APIEdit
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	edit := admin.APIEdit{Name: in.Name, Scopes: in.Scopes, Disabled: in.Disabled}
	if in.Stale != nil {
		stale := api.Stale(*in.Stale)
		edit.Stale = &stale
	}
	if in.Token != nil {
		old, err := s.APIs.API(r.Context(), id)
		if err != nil {
			return err
		}
		token, err := in.Token.over(old.Token)
		if err != nil {
			return err
		}
		edit.Token = &token
	}
	changed, err := s.APIs.EditAPI(r.Context(), c.by(), id, edit)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, s.apiShape(changed))
	return nil
}

func (s *Surface) removeAPI(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := s.APIs.RemoveAPI(r.Context(), c.by(), r.PathValue("id")); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}
