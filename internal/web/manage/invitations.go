package manage

import (
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// NewInvitation asks for an initial access token. Uses is how many clients it lets in,
// one when left out; For how long it lasts, such as 24h.
type NewInvitation struct {
	Uses int    `json:"uses"`
	For  string `json:"for"`
}

// Invitation is a new initial access token. It is shown once.
type Invitation struct {
	Token     string    `json:"token"`
	Uses      int       `json:"uses"`
	ExpiresAt time.Time `json:"expires_at"`
	Endpoint  string    `json:"registration_endpoint"` // where a client registers itself with it
}

func (s *Surface) invite(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewInvitation
	if err := readOptional(r, &in); err != nil {
		return err
	}
	ask := admin.Invitation{Uses: in.Uses}
	if in.For != "" {
		d, err := time.ParseDuration(in.For)
		if err != nil || d <= 0 {
			return fault.New(fault.Invalid, "for must be a time like 24h.")
		}
		ask.For = d
	}
	out, err := s.Clients.Invite(r.Context(), c.by(), ask)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusCreated, Invitation{
		Token: out.Token, Uses: out.Uses, ExpiresAt: second(out.ExpiresAt), Endpoint: s.Issuer + "/oauth/register",
	})
	return nil
}
