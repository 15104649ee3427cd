package manage

import (
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func clientShape(c client.Client) Client {
	return Client{
		ID: c.ID, Name: c.Name, Kind: string(c.Kind), FirstParty: c.FirstParty, RedirectURIs: filled(c.RedirectURIs),
		Origins: filled(c.Origins), Grants: filled(c.Grants), APIs: filledMap(c.APIs), Serves: filled(c.Serves), Bind: c.Bind,
		BackchannelLogoutURI: c.BackchannelLogoutURI, BackchannelLogoutSession: c.BackchannelLogoutSession,
		OAuth: c.OAuth, OldSecretUntil: when(c.OldSecretUntil), Source: string(c.Source),
		Disabled: c.Disabled, CreatedAt: second(c.CreatedAt), UpdatedAt: second(c.UpdatedAt), Version: c.Version,
	}
}

func (s *Surface) listClients(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r)
	if err != nil {
		return err
	}
	rows, err := s.Clients.Clients(r.Context(), p.after, p.limit)
	if err != nil {
		return err
	}
	answer(w, p, rows, clientShape, func(c Client) string { return c.ID })
	return nil
}

func (s *Surface) showClient(w http.ResponseWriter, r *http.Request, _ caller) error {
	found, err := s.Clients.Client(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, clientShape(found))
	return nil
}

func (s *Surface) addClient(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewClient
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	added, secret, err := s.Clients.AddClient(r.Context(), c.by(), admin.NewClient{
		Client: client.Client{
			ID: in.ID, Name: in.Name, Kind: client.Kind(in.Kind), FirstParty: in.FirstParty, RedirectURIs: in.RedirectURIs,
			Origins: in.Origins, Grants: in.Grants, APIs: in.APIs, Serves: in.Serves, Bind: in.Bind, Disabled: in.Disabled,
			BackchannelLogoutURI: in.BackchannelLogoutURI, BackchannelLogoutSession: in.BackchannelLogoutSession,
		},
		Secret: in.Secret, Members: in.OAuth,
	})
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, ClientAdded{Client: clientShape(added), Secret: secret})
	return nil
}

func (s *Surface) editClient(w http.ResponseWriter, r *http.Request, c caller) error {
	var in ClientEdit
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	edit := admin.ClientEdit{
		Name: in.Name, Secret: in.Secret, FirstParty: in.FirstParty, RedirectURIs: in.RedirectURIs, Origins: in.Origins,
		Grants: in.Grants, APIs: in.APIs, Serves: in.Serves, Bind: in.Bind, Disabled: in.Disabled,
		BackchannelLogoutURI: in.BackchannelLogoutURI, BackchannelLogoutSession: in.BackchannelLogoutSession,
		OAuth: in.OAuth, EndTokens: in.EndTokens,
	}
	if in.Kind != nil {
		kind := client.Kind(*in.Kind)
		edit.Kind = &kind
	}
	changed, err := s.Clients.EditClient(r.Context(), c.by(), r.PathValue("id"), edit)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, clientShape(changed))
	return nil
}

func (s *Surface) rotateClientSecret(w http.ResponseWriter, r *http.Request, c caller) error {
	var in SecretRotation
	if err := readOptional(r, &in); err != nil {
		return err
	}
	overlap, err := in.overlap()
	if err != nil {
		return err
	}
	id, out := r.PathValue("id"), ClientSecret{ID: r.PathValue("id")}
	if in.Stolen {
		out.Secret, err = s.Clients.RotateStolenSecret(r.Context(), c.by(), id)
	} else {
		out.Secret, err = s.Clients.RotateClientSecret(r.Context(), c.by(), id, overlap)
	}
	if err != nil {
		return err
	}
	if overlap > 0 {
		out.OldSecretUntil = when(s.Now().Add(overlap))
	}
	respond.JSON(w, http.StatusOK, out)
	return nil
}

func (in SecretRotation) overlap() (time.Duration, error) {
	if in.Overlap == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(in.Overlap)
	if err != nil {
		return 0, fault.New(fault.Invalid, "overlap must be a time like 24h.")
	}
	if in.Stolen && d != 0 {
		return 0, fault.New(fault.Invalid, "A stolen secret has no overlap: it must stop at once.")
	}
	return d, nil
}

func (s *Surface) removeClient(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := s.Clients.RemoveClient(r.Context(), c.by(), r.PathValue("id")); err != nil {
		return err
	}
	respond.NoContent(w)
	return nil
}
