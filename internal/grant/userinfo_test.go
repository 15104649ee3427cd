package grant_test

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestUserinfoTellsWhatTheScopesSay(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	h.changeUser(func(u *account.User) {
		u.Name, u.Profile.Email, u.Profile.EmailVerified, u.Profile.Phone = "Ada", "ada@example.com", true, "+1 555"
	})
	s := h.login()
	r := request("web", func(r *oidc.Request) { r.APIID, r.Scopes = api.Userinfo, []string{"openid", "email"} })
	tok, err := h.exchange("web", shownCode(h.code(r, s)))
	must(t, err)
	info, err := h.Userinfo(t.Context(), grant.Shown{Token: tok.AccessToken, Scheme: "Bearer"})
	must(t, err)
	if got, want := string(info.Body), `{"email":"ada@example.com","email_verified":true,"sub":"`+h.ada.ID+`"}`; got != want {
		t.Errorf("userinfo is %s, want %s", got, want)
	}
	plain, err := h.exchange("web", shownCode(h.code(request("web", func(r *oidc.Request) { r.Scopes = []string{"orders:read"} }), s)))
	must(t, err)
	_, err = h.Userinfo(t.Context(), grant.Shown{Token: plain.AccessToken, Scheme: "Bearer"})
	wantRefusal(t, "USERINFO-001 without openid", err, oidc.InsufficientScope)
	for name, text := range map[string]string{"ID token": tok.IDToken, "refresh token": tok.RefreshToken, "nothing": ""} {
		_, err = h.Userinfo(t.Context(), grant.Shown{Token: text, Scheme: "Bearer"})
		wantRefusal(t, "USERINFO-001 "+name, err, oidc.InvalidToken)
	}
	_, err = h.Userinfo(t.Context(), grant.Shown{Token: tok.AccessToken, Scheme: "Bearer"})
	must(t, err)
	_, err = h.sessions.End(t.Context(), session.EndOne{ID: s.ID, Actor: "test", Reason: "logout"})
	must(t, err)
	_, err = h.Userinfo(t.Context(), grant.Shown{Token: tok.AccessToken, Scheme: "Bearer"})
	wantRefusal(t, "USERINFO-001 after logout", err, oidc.InvalidToken)
}

func TestUserinfoSignedForAClientThatWantsIt(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	h.changeClient("web", func(c *client.Client) { c.OAuth.UserinfoAlg = jose.ES256 })
	tok, err := h.exchange("web", shownCode(h.code(request("web"), h.login())))
	must(t, err)
	info, err := h.Userinfo(t.Context(), grant.Shown{Token: tok.AccessToken, Scheme: "Bearer"})
	must(t, err)
	claims := claimsOf(t, string(info.Body))
	if !info.Signed || claims["sub"] != h.ada.ID || claims["aud"] != "web" || claims["iss"] != issuer {
		t.Errorf("userinfo is %v %v", info.Signed, claims)
	}
}
