package signin

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// deviceLife is how long a browser stays known after a login.
const deviceLife = 180 * 24 * time.Hour

// device returns the value of the cookie that marks a browser as known to this
// user. It proves no identity; it only keeps the owner out of the delays that
// strangers cause. A changed password makes it worthless.
func (s *Service) device(u account.User) string {
	issued := strconv.FormatInt(s.Now().Unix(), 10)
	return issued + "." + s.deviceCode(u, issued)
}

func (s *Service) deviceCode(u account.User, issued string) string {
	d := s.Devices.MAC("device", u.ID, issued, strconv.FormatInt(u.PasswordChangedAt.UnixMicro(), 10))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// knows reports whether the cookie was given to this user, with this password,
// not too long ago.
func (s *Service) knows(cookie string, u account.User) bool {
	issued, code, ok := strings.Cut(cookie, ".")
	if !ok || len(cookie) > 100 {
		return false
	}
	at, err := strconv.ParseInt(issued, 10, 64)
	if err != nil || s.Now().Sub(time.Unix(at, 0)) > deviceLife {
		return false
	}
	return opaque.Hash(code).Equal(opaque.Hash(s.deviceCode(u, issued)))
}
