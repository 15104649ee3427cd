package manage

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// inspectToken explains a credential. It travels in the body, so that no log
// line holds it.
func (s *Surface) inspectToken(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in TokenQuestion
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	if in.Token == "" {
		return fault.New(fault.Invalid, "token is missing.")
	}
	e, err := s.Tokens.Explain(r.Context(), in.Token)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, e)
	return nil
}
