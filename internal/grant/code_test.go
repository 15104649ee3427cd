package grant_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/consent"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

const (
	codeBack     = "https://web.example/cb"
	codeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// codeHouse is a house with clients that people are led back to.
func codeHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	both := []string{client.AuthorizationCode, client.RefreshToken}
	apis := map[string][]string{orders: {"orders:read"}, vault: {"vault:open"}}
	for _, c := range []client.Client{
		{ID: "web", Kind: client.Confidential, SecretHash: opaque.Hash("x"), Grants: both, APIs: apis, RedirectURIs: []string{codeBack}},
		{ID: "web2", Kind: client.Confidential, SecretHash: opaque.Hash("y"), Grants: both, APIs: apis, RedirectURIs: []string{codeBack}},
		{ID: "native", Kind: client.Public, Grants: both, APIs: apis, RedirectURIs: []string{codeBack}},
		{ID: "bank", Kind: client.Confidential, Grants: both, APIs: apis, RedirectURIs: []string{codeBack},
			OAuth: client.OAuth{Profile: client.FAPI2, AuthMethod: client.AuthPrivateKeyJWT, DPoPBound: true}},
		{ID: "no-code", Kind: client.Public, Grants: []string{client.RefreshToken}, APIs: apis},
		{ID: "orders-service", Kind: client.Confidential, SecretHash: opaque.Hash("z"), Grants: []string{client.TokenExchange},
			APIs: map[string][]string{vault: {"vault:open"}, orders: {"*"}}, Serves: []string{orders}},
		{ID: "passer-by", Kind: client.Confidential, SecretHash: opaque.Hash("w"), Grants: []string{client.TokenExchange},
			APIs: map[string][]string{vault: {"vault:open"}}},
	} {
		must(t, h.store.AddClient(t.Context(), c, revoke.Effects{}))
	}
	return h
}

func (h *house) login() session.Session {
	h.t.Helper()
	s, _, err := h.sessions.Start(h.t.Context(), session.Login{UserID: h.ada.ID, AMR: []string{"pwd"}})
	must(h.t, err)
	return s
}

func request(clientID string, edit ...func(*oidc.Request)) oidc.Request {
	r := oidc.Request{
		ClientID: clientID, RedirectURI: codeBack, RedirectSent: true, APIID: orders, Scopes: []string{"openid", "orders:read"},
		Nonce: "n-0S6", Challenge: challengeOf(codeVerifier),
	}
	for _, e := range edit {
		e(&r)
	}
	return r
}

// allow remembers that the person allowed what is asked for.
func (h *house) allow(r oidc.Request, s session.Session) {
	h.t.Helper()
	now := h.clock.now()
	given, err := h.store.GiveConsent(h.t.Context(), consent.Consent{
		UserID: s.UserID, ClientID: r.ClientID, APIID: r.APIID, Scopes: r.Scopes, GivenAt: now, UpdatedAt: now,
	}, revoke.Effects{})
	must(h.t, err)
	if !given {
		h.t.Fatal("the consent was not taken")
	}
}

func (h *house) code(r oidc.Request, s session.Session) string {
	h.t.Helper()
	h.allow(r, s)
	code, err := h.OpenCode(h.t.Context(), r, s, r.Scopes)
	must(h.t, err)
	return code
}

func shownCode(code string, edit ...func(*grant.CodeAsk)) grant.CodeAsk {
	ask := grant.CodeAsk{Code: code, RedirectURI: codeBack, Verifier: codeVerifier}
	for _, e := range edit {
		e(&ask)
	}
	return ask
}

func (h *house) exchange(clientID string, ask grant.CodeAsk) (grant.Tokens, error) {
	return h.Exchange(context.WithoutCancel(h.t.Context()), h.client(clientID), ask)
}

func wantRefusal(t *testing.T, what string, err error, code string) {
	t.Helper()
	var refused *grant.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("%s: got %v, want %s", what, err, code)
	}
}

func claimsOf(t *testing.T, text string) map[string]any {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", text)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var m map[string]any
	must(t, json.Unmarshal(body, &m))
	return m
}

func TestCodeGivesTokensOnce(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	tok, err := h.exchange("web", shownCode(h.code(request("web"), s)))
	must(t, err)
	h.wantActive(tok.AccessToken, true)
	if tok.RefreshToken == "" || tok.Scope != "openid orders:read" || tok.TokenType != "Bearer" {
		t.Fatalf("tokens are %+v", tok)
	}
	id := claimsOf(t, tok.IDToken)
	for name, want := range map[string]any{
		"iss": issuer, "sub": h.ada.ID, "aud": "web", "nonce": "n-0S6", "sid": s.ID, "acr": "aal1", "auth_time": float64(s.AuthTime.Unix()),
	} {
		if id[name] != want {
			t.Errorf("%s is %v, want %v", name, id[name], want)
		}
	}
	sum := sha256.Sum256([]byte(tok.AccessToken))
	if id["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) {
		t.Errorf("at_hash is %v", id["at_hash"])
	}
	if _, leaks := id["email"]; leaks {
		t.Error("the ID token tells the e-mail address unasked")
	}
}

// CODE-001, oidcc-codereuse: the second use takes back what the first one gave.
func TestCodeReuseEndsWhatTheCodeGave(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	code := h.code(request("native"), s)
	tok, err := h.exchange("native", shownCode(code))
	must(t, err)
	h.wantActive(tok.AccessToken, true)
	h.clock.forward(30 * time.Second)
	_, err = h.exchange("native", shownCode(code))
	wantRefusal(t, "the second use", err, grant.InvalidGrant)
	h.wantActive(tok.AccessToken, false)
	_, err = h.Refresh(t.Context(), h.client("native"), grant.RefreshAsk{Token: tok.RefreshToken})
	wantRefusal(t, "its refresh token", err, grant.InvalidGrant)
	after, err := h.exchange("native", shownCode(h.code(request("native"), s)))
	must(t, err)
	h.wantActive(after.AccessToken, true)
}

// CODE-002.
func TestCodeRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	code := h.code(request("web"), h.login())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won []grant.Tokens
	for range 50 {
		wg.Go(func() {
			tok, err := h.exchange("web", shownCode(code))
			if err == nil {
				mu.Lock()
				won = append(won, tok)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d exchanges of one code succeeded", len(won))
	}
	h.wantActive(won[0].AccessToken, false) // a second one came
}

func TestCodeShownWronglyIsUsedUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, client string
		edit         func(*grant.CodeAsk)
	}{
		{"CODE-003 by another client", "web2", func(*grant.CodeAsk) {}},
		{"with another verifier", "web", func(a *grant.CodeAsk) { a.Verifier = strings.Repeat("a", 43) }},
		{"without the verifier", "web", func(a *grant.CodeAsk) { a.Verifier = "" }},
		{"with a short verifier", "web", func(a *grant.CodeAsk) { a.Verifier = "short" }},
		{"with the challenge for a verifier", "web", func(a *grant.CodeAsk) { a.Verifier = challengeOf(codeVerifier) }},
		{"for another redirect URI", "web", func(a *grant.CodeAsk) { a.RedirectURI = codeBack + "/" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := codeHouse(t)
			s := h.login()
			code := h.code(request("web"), s)
			_, err := h.exchange(c.client, shownCode(code, c.edit))
			wantRefusal(t, "the attack", err, grant.InvalidGrant)
			_, err = h.exchange("web", shownCode(code))
			wantRefusal(t, "the code afterwards", err, grant.InvalidGrant)
			_, err = h.exchange("web", shownCode(h.code(request("web"), s)))
			must(t, err)
		})
	}
}

// AUTHZ-006: a verifier for a request that had no challenge.
func TestCodeWithoutChallengeRefusesAVerifier(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	plain := request("web", func(r *oidc.Request) { r.Challenge = "" })
	_, err := h.exchange("web", shownCode(h.code(plain, s), func(a *grant.CodeAsk) { a.Verifier = "" }))
	must(t, err)
	_, err = h.exchange("web", shownCode(h.code(plain, s)))
	wantRefusal(t, "downgrade", err, grant.InvalidGrant)
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	code, late := h.code(request("web"), s), h.code(request("web"), s)
	h.clock.forward(grant.CodeFor - time.Second)
	_, err := h.exchange("web", shownCode(code))
	must(t, err)
	h.clock.forward(time.Second)
	_, err = h.exchange("web", shownCode(late))
	wantRefusal(t, "a code after its time", err, grant.InvalidGrant)
}

// CODE-007, REFRESH-007: what is one thing is nothing else.
func TestCodeIsNoOtherCredential(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	code := h.code(request("native"), s)
	_, err := h.Refresh(t.Context(), h.client("native"), grant.RefreshAsk{Token: code})
	wantRefusal(t, "a code as refresh token", err, grant.InvalidGrant)
	tok, err := h.exchange("native", shownCode(code))
	must(t, err)
	for name, text := range map[string]string{
		"access token": tok.AccessToken, "refresh token": tok.RefreshToken, "ID token": tok.IDToken, "session id": s.ID, "nothing": "",
		"a code with one more byte": code + "A", "a code without its last byte": code[:len(code)-1], "upper case": strings.ToUpper(code),
	} {
		_, err := h.exchange("native", shownCode(text))
		wantRefusal(t, name+" as code", err, grant.InvalidGrant)
	}
	_, err = h.Refresh(t.Context(), h.client("native"), grant.RefreshAsk{Token: tok.IDToken})
	wantRefusal(t, "an ID token as refresh token", err, grant.InvalidGrant)
	h.wantActive(tok.AccessToken, true)
	h.wantActive(tok.IDToken, false)
}

// CODE-008 and the matrix of account states: what changed between the code and its
// exchange, or between two refreshes, ends both.
func TestWhatChangedMeanwhileRefusesCodeAndRefresh(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(h *house, s session.Session){
		"user disabled": func(h *house, _ session.Session) {
			h.changeUser(func(u *account.User) { u.Disabled = true })
			h.record(revoke.New(revoke.User, h.ada.ID, "ban", h.clock.now()))
		},
		"user disabled without an entry": func(h *house, _ session.Session) { h.changeUser(func(u *account.User) { u.Disabled = true }) },
		"password changed": func(h *house, _ session.Session) {
			h.changeUser(func(u *account.User) { u.PasswordHash = "other" })
			h.record(revoke.New(revoke.User, h.ada.ID, "password", h.clock.now()))
		},
		"roles taken": func(h *house, _ session.Session) { h.changeUser(func(u *account.User) { u.Roles = nil }) },
		"user removed": func(h *house, _ session.Session) {
			_, err := h.store.RemoveUser(h.t.Context(), h.ada.ID, h.ada.Version, revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.User, h.ada.ID, "removed", h.clock.now())}})
			must(h.t, err)
		},
		"session ended": func(h *house, s session.Session) {
			_, err := h.sessions.End(h.t.Context(), session.EndOne{ID: s.ID, Actor: "test", Reason: "logout"})
			must(h.t, err)
		},
		"session past its limit": func(h *house, s session.Session) { h.clock.forward(s.IdleUntil.Sub(h.clock.now())) },
		"client disabled": func(h *house, _ session.Session) {
			h.changeClient("native", func(c *client.Client) { c.Disabled = true })
		},
		"grant type taken from the client": func(h *house, _ session.Session) {
			h.changeClient("native", func(c *client.Client) { c.Grants = nil })
		},
		"scope taken from the client": func(h *house, _ session.Session) {
			h.changeClient("native", func(c *client.Client) { c.APIs = map[string][]string{orders: {"orders:write"}} })
		},
		"API taken from the client": func(h *house, _ session.Session) {
			h.changeClient("native", func(c *client.Client) { c.APIs = nil })
		},
		"consent withdrawn": func(h *house, s session.Session) {
			did, err := h.store.WithdrawConsent(h.t.Context(), h.ada.ID, "native", func(ids []string) (fx revoke.Effects) {
				for _, id := range ids {
					fx.Revoke = append(fx.Revoke, revoke.New(revoke.Grant, id, "consent", h.clock.now()))
				}
				return fx
			})
			must(h.t, err)
			if !did {
				h.t.Fatal("there was nothing to withdraw")
			}
		},
		"API disabled": func(h *house, _ session.Session) {
			a, _, err := h.store.APIByID(h.t.Context(), orders)
			must(h.t, err)
			a.Disabled = true
			_, err = h.store.ChangeAPI(h.t.Context(), a, revoke.Effects{})
			must(h.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := codeHouse(t)
			s := h.login()
			only := request("native", func(r *oidc.Request) { r.Scopes = []string{"orders:read"} })
			tok, err := h.exchange("native", shownCode(h.code(only, s)))
			must(t, err)
			tok, err = h.Refresh(t.Context(), h.client("native"), grant.RefreshAsk{Token: tok.RefreshToken})
			must(t, err)
			caller, code := h.client("native"), h.code(only, s)
			change(h, s)
			if _, err := h.Exchange(t.Context(), caller, shownCode(code)); err == nil {
				t.Error("the code still gives tokens")
			}
			if _, err := h.Refresh(t.Context(), caller, grant.RefreshAsk{Token: tok.RefreshToken}); err == nil {
				t.Error("the refresh token still gives tokens")
			}
		})
	}
}

// AUTHZ-008: what the client or the person may not have is not given by a code.
func TestCodeWidensNothing(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	for name, r := range map[string]oidc.Request{
		"a scope the client is not registered for": request("web", func(r *oidc.Request) { r.Scopes = []string{"orders:write"} }),
		"a scope in another case":                  request("web", func(r *oidc.Request) { r.Scopes = []string{"Orders:read"} }),
		"management":                               request("web", func(r *oidc.Request) { r.APIID, r.Scopes = api.Management, []string{"users:write"} }),
		"an API it is not registered for":          request("web", func(r *oidc.Request) { r.APIID, r.Scopes = notes, []string{"notes:read"} }),
		"a client without codes":                   request("no-code"),
	} {
		h.allow(r, s)
		if _, err := h.OpenCode(t.Context(), r, s, r.Scopes); err == nil {
			t.Errorf("%s: a code was opened", name)
		}
	}
	scopes, err := h.Preview(t.Context(), request("web"), s)
	must(t, err)
	if strings.Join(scopes, " ") != "openid orders:read" {
		t.Errorf("preview is %v", scopes)
	}
}

func TestRefreshTokenOfAConfidentialClientStays(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	tok, err := h.exchange("web", shownCode(h.code(request("web"), h.login())))
	must(t, err)
	first := tok.RefreshToken
	for range 3 {
		h.clock.forward(10 * time.Minute)
		tok, err = h.Refresh(t.Context(), h.client("web"), grant.RefreshAsk{Token: first})
		must(t, err)
		if tok.RefreshToken != first {
			t.Fatal("the refresh token changed")
		}
	}
	_, err = h.Refresh(t.Context(), h.client("web2"), grant.RefreshAsk{Token: first})
	wantRefusal(t, "another client", err, grant.InvalidGrant)
}

// DPOP-008, DPOP-009 and FAPI 2.0: what is bound to a key is worth nothing without it.
func TestBoundCodeAndRefreshNeedTheirKey(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	s := h.login()
	a, b := grant.Proof{JKT: "key-a"}, grant.Proof{JKT: "key-b"}
	with := func(p grant.Proof) func(*grant.CodeAsk) { return func(ask *grant.CodeAsk) { ask.Proof = p } }
	bound := request("native", func(r *oidc.Request) { r.JKT = "key-a" })
	_, err := h.exchange("native", shownCode(h.code(bound, s), with(b)))
	wantRefusal(t, "another key", err, grant.InvalidGrant)
	_, err = h.exchange("native", shownCode(h.code(bound, s)))
	wantRefusal(t, "no key", err, grant.InvalidGrant)
	tok, err := h.exchange("native", shownCode(h.code(bound, s), with(a)))
	must(t, err)
	if cnf, _ := claimsOf(t, tok.AccessToken)["cnf"].(map[string]any); cnf["jkt"] != "key-a" || tok.TokenType != "DPoP" {
		t.Fatalf("token is %s, bound to %v", tok.TokenType, cnf)
	}
	for name, p := range map[string]grant.Proof{"no key": {}, "another key": b} {
		_, err = h.Refresh(t.Context(), h.client("native"), grant.RefreshAsk{Token: tok.RefreshToken, Proof: p})
		wantRefusal(t, "refresh with "+name, err, grant.InvalidGrant)
	}
	again, err := h.Refresh(t.Context(), h.client("native"), grant.RefreshAsk{Token: tok.RefreshToken, Proof: a})
	must(t, err)
	if again.RefreshToken != tok.RefreshToken {
		t.Error("a bound refresh token was rotated")
	}
	_, err = h.exchange("bank", shownCode(h.code(request("bank"), s)))
	wantRefusal(t, "fapi2-security-profile-final-ensure-holder-of-key-required", err, oidc.InvalidDPoPProof)
	_, err = h.exchange("bank", shownCode(h.code(request("bank"), s), with(a)))
	must(t, err)
}

// A consent is looked for, it is withdrawn, and then the code is opened: who was told
// that an application has no access any more must not find it with a code.
func TestCodeIsNotOpenedOnAConsentThatWasWithdrawn(t *testing.T) {
	t.Parallel()
	h := codeHouse(t)
	must(t, h.store.AddClient(t.Context(), client.Client{
		ID: "own", Kind: client.Public, FirstParty: true, Grants: []string{client.AuthorizationCode}, APIs: map[string][]string{orders: {"*"}},
		RedirectURIs: []string{codeBack}, OAuth: client.OAuth{Consents: client.Skip},
	}, revoke.Effects{}))
	s := h.login()
	r := request("native")
	open := func(what string, r oidc.Request, scopes []string, want error) {
		t.Helper()
		if _, err := h.OpenCode(t.Context(), r, s, scopes); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	h.allow(r, s)
	open("remembered", r, r.Scopes, nil)
	_, err := h.store.WithdrawConsent(t.Context(), s.UserID, r.ClientID, func([]string) revoke.Effects { return revoke.Effects{} })
	must(t, err)
	open("withdrawn", r, r.Scopes, session.ErrGone)
	h.allow(request("native", func(r *oidc.Request) { r.Scopes = []string{"openid"} }), s)
	open("more than is allowed anew", r, r.Scopes, session.ErrGone)
	open("as much as is allowed anew", r, []string{"openid"}, nil)
	h.allow(r, s)
	open("allowed again", r, r.Scopes, nil)
	open("nobody is asked", request("own"), r.Scopes, nil)
}
