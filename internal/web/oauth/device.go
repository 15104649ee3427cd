package oauth

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// device begins the authorization of a device without a browser (RFC 8628 section
// 3.1).
func (s *Surface) device(w http.ResponseWriter, r *http.Request, c call) error {
	ask, err := c.ask()
	if err != nil {
		return err
	}
	ask.Proof = c.proof
	started, err := s.Grants.StartDevice(r.Context(), c.client, ask, middleware.Address(r.Context()))
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, started)
	return nil
}
