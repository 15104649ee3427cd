package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/clients/rig"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// everyProvider runs a test at the server and at the control.
func everyProvider(t *testing.T, test func(t *testing.T, p provider, issuer string)) {
	t.Helper()
	for _, p := range providers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, p, p.start(t))
		})
	}
}

func TestGoOIDC(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p provider, issuer string) {
		ctx := t.Context()
		provider, err := oidc.NewProvider(ctx, issuer)
		if err != nil {
			t.Fatal(err)
		}
		config := oauth2.Config{
			ClientID: "web", ClientSecret: rig.WebSecret, Endpoint: provider.Endpoint(), RedirectURL: rig.RedirectURI,
			Scopes: []string{oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess},
		}
		verifier := oauth2.GenerateVerifier()
		back := rig.NewPerson(t).Through(config.AuthCodeURL("some-state", oidc.Nonce("some-nonce"), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "consent")), rig.RedirectURI)
		if back.Query().Get("state") != "some-state" || back.Query().Get("iss") != issuer {
			t.Fatalf("came back to %s", back)
		}
		tokens, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := tokens.Extra("id_token").(string)
		id, err := provider.Verifier(&oidc.Config{ClientID: "web"}).Verify(ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		if id.Nonce != "some-nonce" {
			t.Errorf("nonce is %q", id.Nonce)
		}
		if id.AccessTokenHash == "" && p.name == "control" {
			t.Log("the control puts no at_hash into ID tokens")
		} else if err := id.VerifyAccessToken(tokens.AccessToken); err != nil {
			t.Error(err)
		}
		info, err := provider.UserInfo(ctx, config.TokenSource(ctx, tokens))
		if err != nil {
			t.Fatal(err)
		}
		if info.Subject != id.Subject || info.Email != rig.Login || !info.EmailVerified {
			t.Errorf("userinfo is %+v", info)
		}
		tokens.Expiry = time.Unix(1, 0) // so that it is renewed
		next, err := config.TokenSource(ctx, tokens).Token()
		if err != nil {
			t.Fatal(err)
		}
		if next.AccessToken == tokens.AccessToken {
			t.Error("the access token was not renewed")
		}
	})
}

func TestZitadelRP(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, _ provider, issuer string) {
		ctx := t.Context()
		party, err := rp.NewRelyingPartyOIDC(ctx, issuer, "web", rig.WebSecret, rig.RedirectURI, []string{"openid", "email", "offline_access"},
			rp.WithVerifierOpts(rp.WithIssuedAtOffset(5*time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		verifier := oauth2.GenerateVerifier()
		address := rp.AuthURL("some-state", party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)), rp.WithPrompt("consent"))
		ada := rig.NewPerson(t)
		back := ada.Through(address, rig.RedirectURI)
		tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](ctx, back.Query().Get("code"), party, rp.WithCodeVerifier(verifier))
		if err != nil {
			t.Fatal(err)
		}
		info, err := rp.Userinfo[*zitadel.UserInfo](ctx, tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, party)
		if err != nil {
			t.Fatal(err)
		}
		if info.Email != rig.Login {
			t.Errorf("userinfo is %+v", info)
		}
		next, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, party, tokens.RefreshToken, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if next.AccessToken == tokens.AccessToken {
			t.Error("the access token was not renewed")
		}
		if err := rp.RevokeToken(ctx, party, next.RefreshToken, "refresh_token"); err != nil {
			t.Fatal(err)
		}
		if _, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, party, next.RefreshToken, "", ""); err == nil {
			t.Error("a revoked refresh token was renewed")
		}
		signOut(t, ada, issuer, tokens.IDToken)
	})
}

// signOut signs a person out by the way that a client leads them.
func signOut(t *testing.T, p *rig.Person, issuer, idToken string) {
	t.Helper()
	end, _ := get(t.Context(), t, issuer+"/.well-known/openid-configuration")["end_session_endpoint"].(string)
	q := url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {rig.LoggedOut}, "state": {"bye"}}
	if back := p.Through(end+"?"+q.Encode(), rig.LoggedOut); back.Query().Get("state") != "bye" {
		t.Errorf("signed out to %s", back)
	}
}

// get reads a JSON document.
func get(ctx context.Context, t *testing.T, address string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var m map[string]any
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", address, err))
	}
	return m
}
