package authorize_test

import (
	"errors"
	"net/url"
	"testing"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/fault"
)

// FuzzRead: whatever comes, the answer goes to a registered address or to nobody, the
// state is as it came, and nothing but refusals comes of it.
func FuzzRead(f *testing.F) {
	for _, p := range []authorize.Params{
		ask(), ask("prompt", "none"), ask("request", "a.b.c"), ask("request_uri", "urn:ietf:params:oauth:request_uri:x"), ask("claims", `{"id_token":{"acr":null}}`),
		ask("redirect_uri", "https://rp1.test@evil.test/cb"), ask("response_mode", "form_post", "max_age", "1"), ask("resource", orders, "scope", "orders:read"),
	} {
		f.Add(url.Values(p).Encode())
	}
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p := authorize.Params(q)
		r, err := h.Read(t.Context(), p)
		var told *authorize.Refused
		to, state := r.RedirectURI, r.State
		switch {
		case err == nil:
		case errors.As(err, &told):
			to, state = told.Answer.To, value(told.Answer, "state")
			if value(told.Answer, "iss") != issuer || value(told.Answer, "error") == "" {
				t.Fatalf("answer %+v", told.Answer)
			}
		case fault.Is(err, fault.Invalid):
			return
		default:
			t.Fatalf("not a refusal: %v", err)
		}
		c, found, err := h.store.ClientByID(t.Context(), p["client_id"][0])
		if err != nil || !found || c.Disabled || !c.MaySend(to) {
			t.Fatalf("sent to %q", to)
		}
		if state != "" && (len(q["state"]) != 1 || q["state"][0] != state || !utf8.ValidString(state)) {
			t.Fatalf("state %q of %q", state, q["state"])
		}
	})
}
