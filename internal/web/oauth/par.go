package oauth

import (
	"context"
	"net/http"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// Requests keeps pushed authorization requests. See authorize.Service.
type Requests interface {
	Push(ctx context.Context, c client.Client, p authorize.Params, jkt string) (authorize.Pushed, error)
}

// push takes an authorization request from its client (RFC 9126).
func (s *Surface) push(w http.ResponseWriter, r *http.Request, c call) error {
	params := authorize.Params{}
	for name, value := range c.form {
		params[name] = []string{value}
	}
	pushed, err := s.Requests.Push(r.Context(), c.client, params, c.proof.JKT)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, pushed)
	return nil
}
