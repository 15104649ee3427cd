package middleware

import (
	"net/http"

	"github.com/wafer-auth/wafer/verify/bound"
)

// Seen is what a request shows of where it comes from. The address is the one that
// the chain found: of the person's machine, as far as trusted proxies tell.
func Seen(r *http.Request) bound.Seen {
	return bound.Seen{Address: Address(r.Context()), Agent: r.UserAgent(), Language: r.Header.Get("Accept-Language")}
}
