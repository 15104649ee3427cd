package manage

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/keyring"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

func keyShape(k keyring.Record) Key {
	return Key{
		ID: k.ID, API: k.API, Alg: string(k.Alg), State: string(k.State), CreatedAt: second(k.CreatedAt), ActiveAt: when(k.ActiveAt),
		RetiredAt: when(k.RetiredAt), RemovedAt: when(k.RemovedAt), ReadAt: when(k.ReadAt), JWK: k.Public,
	}
}

// listKeys pages through the keys, oldest first.
func (s *Surface) listKeys(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := readPage(r, "api")
	if err != nil {
		return err
	}
	all, err := s.Keys.Records(r.Context())
	if err != nil {
		return err
	}
	wanted := p.query.Get("api")
	rows := make([]keyring.Record, 0, len(all))
	for _, k := range all {
		if k.ID > p.after && (wanted == "" || k.API == wanted) && len(rows) < p.limit {
			rows = append(rows, k)
		}
	}
	answer(w, p, rows, keyShape, func(k Key) string { return k.ID })
	return nil
}

func (s *Surface) showKey(w http.ResponseWriter, r *http.Request, _ caller) error {
	k, err := s.key(r)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, keyShape(k))
	return nil
}

func (s *Surface) key(r *http.Request) (keyring.Record, error) {
	all, err := s.Keys.Records(r.Context())
	if err != nil {
		return keyring.Record{}, err
	}
	for _, k := range all {
		if k.ID == r.PathValue("kid") {
			return k, nil
		}
	}
	return keyring.Record{}, fault.New(fault.NotFound, "There is no such key.")
}

func (s *Surface) rotateKey(w http.ResponseWriter, r *http.Request, c caller) error {
	var in Rotation
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	urgent := keyring.Calm
	if in.Now {
		urgent = keyring.Now
	}
	k, err := s.Keys.Rotate(r.Context(), in.API, c.actor, urgent)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, keyShape(k))
	return nil
}

func (s *Surface) retireKey(w http.ResponseWriter, r *http.Request, c caller) error {
	var in Retirement
	if err := readOptional(r, &in); err != nil {
		return err
	}
	why := keyring.Ordinary
	if in.Compromised {
		why = keyring.Compromised
	}
	if err := s.Keys.Retire(r.Context(), r.PathValue("kid"), c.actor, why); err != nil {
		return err
	}
	return s.showKey(w, r, c)
}

// readAPISecret shows an HMAC secret the one time it may be read. Who holds the
// management API's own could make any token, so that one needs every scope.
func (s *Surface) readAPISecret(w http.ResponseWriter, r *http.Request, c caller) error {
	found, err := s.APIs.API(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if found.ID == api.Management && !c.full() {
		return errAbove
	}
	secret, err := s.Keys.Secret(r.Context(), found.ID, c.actor)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, APISecret{API: found.ID, Key: secret.KeyID, Alg: string(secret.Alg), Secret: secret.Value})
	return nil
}
